"""What one reading of a source came to: plain values, nothing written yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from catalog.ingest.problems import Problem
from catalog.ingest.records import FileRecord
from catalog.ingest.relations import Relation


@dataclass(frozen=True, slots=True)
class Declared:
    """An entity as its source declares it.

    Attributes:
        entity: the processed document, without relations, uid and etag.
        relations: (source, type, target) references, both directions.
        parent_ref: the Location that led to its file.
    """

    ref: str
    kind: str
    namespace: str
    name: str
    entity: dict[str, Any]
    relations: tuple[Relation, ...]
    url: str
    document: int
    line: int
    commit: str
    parent_ref: str


@dataclass(frozen=True, slots=True)
class Rival:
    """A further declaration of an entity within the same source, which another one outranks."""

    ref: str
    url: str
    document: int
    line: int
    parent_ref: str
    same_file: bool


def _nothing(refs: Iterable[str]) -> None:
    """Thaws none."""


@dataclass(slots=True)
class Collected:
    """Everything a reading found.

    Attributes:
        declared: by reference, parents before children.
        failed: references whose document is there but not valid now; their last good version stays.
        invalid: those of them whose own document is refused, so that nobody knows where they lead.
        problems: (finding, entity reference where one is known).
        owners: owner that a refused document names, by address of its file and number in it.
        unread: files and folders that could not be read; what they declared before stays, marked missing. With an
            empty key where nothing of the source could be read.
        broken: files of which some document has no readable name; the same holds for what they declared before.
        outage: the root could not be read because its host is away for a while.
        read: files that were read whole, or are what they were.
        kept: references that are known to be as they were, and were not read again.
        again: whether the next reading has to process everything once more.
        records: what came of each of them, for the next reading.
        hashes: fingerprint of what a declared or carried entity says, as far as it was computed.
        partial: whether unchanged files were carried over. Everything below is empty where they were not.
        carried: what they declare, by reference, without entity and relations: the stored ones are the same.
        carried_owners: whom those are owned by.
        touched: references whose place or declaration is not what it was at the last reading.
        thaw: moves references from ``carried`` to ``declared`` by processing their files after all.
    """

    declared: dict[str, Declared] = field(default_factory=dict)
    failed: dict[str, Problem] = field(default_factory=dict)
    invalid: set[str] = field(default_factory=set)
    problems: list[tuple[Problem, str]] = field(default_factory=list)
    owners: dict[tuple[str, int], str] = field(default_factory=dict)
    rivals: list[Rival] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    records: dict[str, FileRecord] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    partial: bool = False
    carried: dict[str, Declared] = field(default_factory=dict)
    carried_owners: dict[str, str] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    thaw: Callable[[Iterable[str]], None] = _nothing
    again: bool = False
    files: int = 0
    documents: int = 0
    version: str = ""
    outage: bool = False

    @property
    def entities(self) -> int:
        """How many there are."""
        return len(self.declared) + len(self.carried) + len(self.kept)

    def let_go(self) -> None:
        """Nothing is thawed any more: this and the walk end holding each other, and are freed without the garbage
        collector, which takes as long for it as a small sync.
        """
        self.thaw = _nothing

    def declares(self, ref: str) -> bool:
        return ref in self.declared or ref in self.carried or ref in self.kept

    def references(self) -> set[str]:
        """Everything it declares."""
        return self.declared.keys() | self.carried.keys() | self.kept
