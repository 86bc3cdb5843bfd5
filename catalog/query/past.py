"""The same questions about the catalog as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cmp_to_key
from typing import Any

import orjson

from catalog.models import Entity, EntityDocument, Revision
from catalog.query.dictionary import Dictionary
from catalog.query.facets import FacetCount
from catalog.query.frame import frames_at
from catalog.query.query import NO_FILTERS, Dressed, EntityQuery, Page, plain
from catalog.query.sql import concat, fetch, one_of
from portal.access.viewer import Viewer
from portal.core.paging import Keyset

#: What says how the reading of a source went, or is judged by what there is now. The past has none of them.
UNKNOWN_THEN = frozenset(("state", "errors", "fresh", "refs"))


class PastQuery:
    """Entities as they were at a moment, for what a list shows: a page, a count, facets.

    Rows are ``Entity`` objects that are not to be saved; those that changed since have the key of their version as
    ``pk`` and ``version_key``.
    Which of them a viewer sees is decided by what they were then. Nothing of it is remembered.

    Args:
        at: the moment; before the oldest kept version there is nothing but what never changed since.
        others: as for ``EntityQuery``.
    """

    def __init__(
        self,
        viewer: Viewer,
        at: datetime,
        *,
        include: Mapping[str, Sequence[str]] = NO_FILTERS,
        exclude: Mapping[str, Sequence[str]] = NO_FILTERS,
        **others: Any,
    ) -> None:
        asked = {
            "include": {k: v for k, v in include.items() if k not in UNKNOWN_THEN},
            "exclude": {k: v for k, v in exclude.items() if k not in UNKNOWN_THEN},
            **others,
        }
        self.at = at
        self._parts = [EntityQuery(viewer, frame=frame, version=None, **asked) for frame in frames_at(at)]
        # What keys and values are called is the same then and now.
        words = Dictionary(lambda: None, self._parts[0].scope, past=True)
        for part in self._parts:
            part.share(words)

    def count(self) -> int:
        """How many there were. Two statements."""
        return sum(part.count() for part in self._parts)

    def facets(self, keys: Iterable[str], *, apart: bool = False) -> dict[str, list[FacetCount]]:
        """As ``EntityQuery.facets``; empty for what only the present knows."""
        names = list(keys)
        known = [name for name in names if name not in UNKNOWN_THEN]
        found: dict[str, dict[str, int]] = {name: {} for name in names}
        for part in self._parts:
            for name, counts in part.facets(known, apart=apart).items():
                for counted in counts:
                    found[name][counted.value] = found[name].get(counted.value, 0) + counted.count
        return {
            name: [FacetCount(value, number) for value, number in sorted(counts.items())]
            for name, counts in found.items()
        }

    def page(self, limit: int, *, cursor: str = "", dressed: Dressed = plain) -> Page:
        """As ``EntityQuery.page``: the pages of both parts, merged. Two statements.

        Args:
            dressed: gives the rows further columns, which then are of that time too.
        """
        asked = self._parts[0]._asked(cursor)
        unchanged, versions = (part._rows(asked, limit + 1, dressed) for part in self._parts)
        for version in versions:
            version.__dict__["version_key"] = version.pk
        rows = [*unchanged, *versions]
        rows.sort(key=cmp_to_key(_comparison(asked.keyset, asked.backwards)))
        return asked.page(rows[: limit + 1], limit)


def _comparison(keyset: Keyset, backwards: bool) -> Any:
    def compare(one: Entity, other: Entity) -> int:
        for key in keyset.keys:
            a, b = getattr(one, key.name), getattr(other, key.name)
            if a == b:
                continue
            if a is None or b is None:  # last in both directions, so first on the way back
                after = a is None
                return 1 if after != backwards else -1
            return 1 if (a > b) != (key.descending != backwards) else -1
        return 0

    return compare


def relations_at(refs: Sequence[str], at: datetime) -> dict[str, list[tuple[str, str]]]:
    """(type, target) of every relation that each of ``refs`` had at a moment, whoever declared it; sorted.

    One statement for a page of references.
    """
    found: dict[str, list[tuple[str, str]]] = {ref: [] for ref in refs}
    if found:
        asked = concat(
            "SELECT DISTINCT r.source_ref, r.type, r.target_ref FROM catalog_relation r WHERE ",
            one_of("r.source_ref", list(found)),
        )
        for ref, kind, target in sorted(fetch(frames_at(at)[0].around(asked))):
            found[ref].append((kind, target))
    return found


def document_at(text: str, relations: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """A version's document with the relations that its entity had at a moment, and without a status.

    Args:
        text: the document of the version that was valid then.
    """
    document: dict[str, Any] = orjson.loads(text)
    document.pop("status", None)
    document["relations"] = [{"type": kind, "targetRef": target} for kind, target in relations]
    return document


def documents_at(rows: Sequence[Entity], at: datetime) -> list[dict[str, Any]]:
    """The documents of rows that ``PastQuery.page`` gave for this moment, in order. Three statements."""
    versions = [row.pk for row in rows if is_version(row)]
    present = [row.pk for row in rows if not is_version(row)]
    reason = "the rows were scoped"
    texts = dict(EntityDocument.objects.unrestricted(reason).filter(pk__in=present).values_list("pk", "text"))
    past = dict(Revision.objects.unrestricted(reason).filter(pk__in=versions).values_list("pk", "text"))
    relations = relations_at([row.ref for row in rows], at)
    return [
        document_at(past[row.pk] if is_version(row) else texts[row.pk], relations[row.ref]) for row in rows
    ]


def is_version(row: Entity) -> bool:
    """Whether a row of the past is a past version, and its key the version's."""
    return "version_key" in row.__dict__
