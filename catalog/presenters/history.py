"""The history of an entity as a page shows it: versions, who wrote them, what they changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import orjson
from django.urls import reverse

from catalog.diff import Change, diff_documents
from catalog.models import Entity, Revision
from catalog.presenters.entity import as_yaml
from catalog.presenters.refs import entity_url

#: Fields of one version that a page shows, and characters of one value.
SHOWN_CHANGES, LONGEST_VALUE = 30, 300
_OURS = ("uid", "etag")
_PLACES = {
    f'metadata.annotations["backstage.io/{name}"]'
    for name in (
        "managed-by-location",
        "managed-by-origin-location",
        "source-location",
        "view-url",
        "edit-url",
    )
}


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One changed field. ``old`` and ``new`` are texts, empty where there is no such value."""

    field: str
    kind: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version.

    Attributes:
        who: the person who wrote it; empty for a sync.
        changes: what it changed of the version before; ``more`` counts those that are left out.
        is_first: nothing came before it, as far as is known; ``is_cut`` where earlier versions are not kept.
        ended: why the entity went after it, with ``ended_by`` and ``ended_at``; empty where another version followed.
    """

    number: int
    ref: str
    since: datetime
    who: str
    source: str
    source_url: str
    file: str
    commit: str
    changes: list[ChangeRow]
    more: int
    url: str
    is_present: bool = False
    is_first: bool = False
    is_cut: bool = False
    earlier_ref: str = ""
    earlier_file: str = ""
    ended: str = ""
    ended_by: str = ""
    ended_at: datetime | None = None

    @property
    def total_changes(self) -> int:
        return len(self.changes) + self.more

    @property
    def is_move(self) -> bool:
        """The file went elsewhere and says what it said: only annotations that name the place differ."""
        return bool(self.earlier_file) and all(change.field in _PLACES for change in self.changes)

    @property
    def label(self) -> str:
        return f"What version {self.number} changed"


def own_content(text: str) -> dict[str, Any]:
    """What the source of an entity says: its document without relations, status, uid and etag."""
    document: dict[str, Any] = orjson.loads(text)
    for name in ("relations", "status"):
        document.pop(name, None)
    for name in _OURS:
        document.get("metadata", {}).pop(name, None)
    return document


def person(actor: str) -> str:
    """What to call who did it: ``user:maren`` is maren."""
    return actor.partition(":")[2] or actor


def moment_text(at: datetime) -> str:
    """A moment as it stands in an address, exact to the microsecond."""
    return at.isoformat().replace("+00:00", "Z")


def version_url(ref: str, at: datetime) -> str:
    """The page of an entity as it was at a moment."""
    return f"{entity_url(ref)}?{urlencode({'at': moment_text(at)})}"


def change_rows(changes: Iterable[Change]) -> list[ChangeRow]:
    return [ChangeRow(c.field, c.kind, _shown(c.old), _shown(c.new)) for c in changes]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else as_yaml(value).removesuffix("...\n").strip()
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def version_rows(
    present: Entity | None,
    revisions: Sequence[Revision],
    *,
    before: Revision | None,
    sources: Mapping[str, str],
) -> list[VersionRow]:
    """Versions, newest first, each with what it changed.

    Args:
        present: the entity where its present version belongs to the list, with its document.
        revisions: past versions of the same entity, numbers going down without a gap.
        before: the version before the last of them, where it is kept and not shown.
        sources: names of sources by id, for the links to those that are still there.
    """
    known: list[Entity | Revision] = [
        *([present] if present else []),
        *revisions,
        *([before] if before else []),
    ]
    contents = [own_content(v.document.text if isinstance(v, Entity) else v.text) for v in known]
    rows = []
    for place, version in enumerate(known[: len(known) - bool(before)]):
        earlier = known[place + 1] if place + 1 < len(known) else None
        changes = diff_documents(contents[place + 1], contents[place]) if earlier else []
        rows.append(_row(version, earlier, changes, sources))
    return rows


def _row(
    version: Entity | Revision,
    earlier: Entity | Revision | None,
    changes: list[Change],
    sources: Mapping[str, str],
) -> VersionRow:
    past = version if isinstance(version, Revision) else None
    number = version.number if isinstance(version, Revision) else version.revision
    since = version.since if isinstance(version, Revision) else version.revised_at
    actor = version.actor if isinstance(version, Revision) else version.revised_by
    key = str(version.source_id or "")
    named = past.source_name if past else sources.get(key, "")
    is_over = past is not None and past.end != Revision.End.CHANGED
    return VersionRow(
        number=number,
        ref=version.ref,
        since=since,
        who=person(actor),
        source=sources.get(key) or named,
        source_url=reverse("catalog:source", args=[key]) if key in sources else "",
        file=version.url,
        commit=version.commit[:10],
        changes=change_rows(changes[:SHOWN_CHANGES]),
        more=max(len(changes) - SHOWN_CHANGES, 0),
        url=version_url(version.ref, since) if past else entity_url(version.ref),
        is_present=past is None,
        is_first=number == 1,
        is_cut=earlier is None and number > 1,
        earlier_ref=earlier.ref if earlier and earlier.ref != version.ref else "",
        earlier_file=earlier.url if earlier and earlier.url != version.url else "",
        ended=past.get_end_display() if past and is_over else "",
        ended_by=person(past.ended_by) if past and is_over else "",
        ended_at=past.until if past and is_over else None,
    )
