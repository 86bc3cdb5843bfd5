"""What one reading of a source came to: plain values, nothing written yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from catalog.ingest.problems import Problem
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
        read: files that were read whole.
        kept: references that are known to be as they were, and were not read again.
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
    files: int = 0
    documents: int = 0
    version: str = ""
