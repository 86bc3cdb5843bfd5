"""What a change would do, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from catalog.diff import Change
from catalog.ingest.problems import Problem

What = Literal["appear", "change", "move", "rename", "remove", "missing", "fail"]
Verdict = Literal["ok", "warning", "error"]
#: Entities of which an answer tells everything; the counts are of all.
MOST_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document stands.

    Attributes:
        url: of the file.
        path: of the file among those that were sent; empty where it is none of them.
        document: number in the file, from 0.
        line: from 1; 0 where that is not known.
    """

    url: str
    path: str = ""
    document: int = 0
    line: int = 0

    def as_json(self) -> dict[str, Any]:
        return {"url": self.url, "path": self.path, "document": self.document, "line": self.line}


@dataclass(frozen=True, slots=True)
class EntityChange:
    """What would happen to one entity.

    Attributes:
        place: where it stands then; for one that goes, where it stood.
        document: of one that appears, as readers would get it, without uid and etag.
        changes: of its document, field by field.
        before: the reference it had, of a renamed one; the address of its file, of a moved one.
        why: why it is missing, fails, goes, or changes hands; may be empty.
    """

    what: What
    ref: str
    place: Place
    title: str = ""
    document: Mapping[str, Any] | None = None
    changes: Sequence[Change] = ()
    before: str = ""
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "what": self.what,
            "ref": self.ref,
            "title": self.title,
            "place": self.place.as_json(),
        }
        if self.document is not None:
            value["document"] = self.document
        if self.what in ("change", "rename"):
            value["changes"] = [change.as_json() for change in self.changes]
        return value | {k: v for k, v in (("before", self.before), ("why", self.why)) if v}


@dataclass(frozen=True, slots=True)
class RelationChange:
    """Another entity that would show other relations, because of what this change declares on both sides."""

    ref: str
    added: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]

    def as_json(self) -> dict[str, Any]:
        def listed(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
            return [{"type": kind, "targetRef": target} for kind, target in pairs]

        return {"ref": self.ref, "added": listed(self.added), "removed": listed(self.removed)}


@dataclass(frozen=True, slots=True)
class Claim:
    """One side of a conflict.

    Attributes:
        source: name of the source; empty where none, or where the asker may not see it.
    """

    source: str
    place: Place

    def as_json(self) -> dict[str, Any]:
        return {"source": self.source, "place": self.place.as_json()}


@dataclass(frozen=True, slots=True)
class Conflict:
    """An entity that is declared twice.

    Attributes:
        ours: whether the document of this change wins.
        why: the reason for the winner, as a sentence.
    """

    ref: str
    winner: Claim
    loser: Claim
    ours: bool
    why: str

    def as_json(self) -> dict[str, Any]:
        return {
            "ref": self.ref,
            "winner": self.winner.as_json(),
            "loser": self.loser.as_json(),
            "ours": self.ours,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Reference:
    """A relation to an entity that is not there, after the change or before it.

    Attributes:
        here: the change declares the relation itself; else it takes the target away, or brings it.
    """

    ref: str
    type: str
    target: str
    here: bool
    place: Place

    def as_json(self) -> dict[str, Any]:
        return {
            "ref": self.ref,
            "type": self.type,
            "targetRef": self.target,
            "because": "declared" if self.here else "target",
            "place": self.place.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem with a document or file."""

    problem: Problem
    ref: str
    place: Place

    def as_json(self) -> dict[str, Any]:
        value = self.problem.as_dict()
        return value | {"entity": self.ref, "place": self.place.as_json()}


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Removals that would wait for a decision."""

    refs: tuple[str, ...]
    total: int

    def as_json(self) -> dict[str, Any]:
        return {"count": len(self.refs), "total": self.total, "refs": list(self.refs[:MOST_SHOWN])}


@dataclass(slots=True)
class Report:
    """The whole answer.

    Attributes:
        source: name of the source, empty for one that is not registered.
        target: what was read.
        unchanged: entities that stay as they are.
        unread: why nothing could be read; empty where something could.
        dangling: references to nothing that are new.
        mended: references that led to nothing and would no longer.
    """

    source: str
    target: str
    ref: str = ""
    files: int = 0
    documents: int = 0
    unchanged: int = 0
    unread: str = ""
    entities: list[EntityChange] = field(default_factory=list)
    relations: list[RelationChange] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    dangling: list[Reference] = field(default_factory=list)
    mended: list[Reference] = field(default_factory=list)
    problems: list[Finding] = field(default_factory=list)
    held: HeldBack | None = None

    def of(self, what: What) -> list[EntityChange]:
        """The entities to which this would happen."""
        return [entity for entity in self.entities if entity.what == what]

    @property
    def counts(self) -> dict[str, int]:
        counts = dict.fromkeys(("appear", "change", "move", "rename", "remove", "missing", "fail"), 0)
        for entity in self.entities:
            counts[entity.what] += 1
        return counts | {"unchanged": self.unchanged}

    @property
    def verdict(self) -> Verdict:
        """``error`` where something would not be taken in as it was meant, ``warning`` where somebody should look."""
        errors = any(finding.problem.severity == "error" for finding in self.problems)
        lost = any(not conflict.ours for conflict in self.conflicts)
        if errors or lost or self.unread or self.of("fail"):
            return "error"
        if self.problems or self.conflicts or self.dangling or self.held or self.of("missing"):
            return "warning"
        return "ok"

    def as_json(self) -> dict[str, Any]:
        """For API and commands; of very long lists only the beginning."""
        lists: dict[str, Sequence[Any]] = {
            "entities": self.entities,
            "relations": self.relations,
            "conflicts": self.conflicts,
            "dangling": self.dangling,
            "mended": self.mended,
            "problems": self.problems,
        }
        left_off = {name: len(items) - MOST_SHOWN for name, items in lists.items() if len(items) > MOST_SHOWN}
        return {
            "verdict": self.verdict,
            "source": self.source,
            "target": self.target,
            "ref": self.ref,
            "files": self.files,
            "documents": self.documents,
            "unread": self.unread,
            "counts": self.counts,
            **{name: [item.as_json() for item in items[:MOST_SHOWN]] for name, items in lists.items()},
            "held": self.held.as_json() if self.held else None,
            "leftOff": left_off,
        }
