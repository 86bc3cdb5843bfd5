"""The difference between a reading and the catalog, as values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from catalog.ingest.collected import Declared, Rival
from catalog.ingest.problems import Problem

T = TypeVar("T")
CHUNK = 2_000
REASON = "publishing compares with every row, whoever may see it"


@dataclass(frozen=True, slots=True)
class Row:
    """An entity as it is stored, as far as comparing needs it."""

    id: int
    ref: str
    content_hash: str
    url: str
    parent_id: int | None
    state: str
    has_errors: bool
    source_id: UUID | None
    document_index: int
    line: int
    commit: str


COLUMNS = tuple(Row.__slots__)


@dataclass(slots=True)
class Plan:
    """The difference. ``moved`` only changes where an entity stands, not what it says.

    ``rows`` are those of the source as far as they were compared; ``total`` is how many it has, where any are removed.
    """

    inserts: list[Declared] = field(default_factory=list)
    updates: list[tuple[Row, Declared]] = field(default_factory=list)
    moved: list[tuple[Row, Declared]] = field(default_factory=list)
    failed: list[tuple[Row, Problem]] = field(default_factory=list)
    missing: list[tuple[Row, str]] = field(default_factory=list)
    removed: list[Row] = field(default_factory=list)
    rivals: list[Rival] = field(default_factory=list)
    conflicts: list[tuple[Declared, Row]] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    new: set[str] = field(default_factory=set)
    total: int = 0

    def has_work(self) -> bool:
        return bool(self.inserts or self.updates or self.moved or self.failed or self.missing or self.removed)


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
