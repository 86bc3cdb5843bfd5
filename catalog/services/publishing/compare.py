"""What has to be written so that the catalog says what its source says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

import orjson

from catalog.ingest.collected import Collected, Declared, Rival
from catalog.ingest.problems import Problem
from catalog.models import Entity, Source

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
    """The difference. ``moved`` only changes where an entity stands, not what it says."""

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

    def has_work(self) -> bool:
        return bool(self.inserts or self.updates or self.moved or self.failed or self.missing or self.removed)


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def content_hash(declared: Declared) -> str:
    """Fingerprint of what the source says of an entity, its relations included."""
    relations = ["\0".join(relation) for relation in declared.relations]
    body = orjson.dumps((declared.entity, relations), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha1(body, usedforsecurity=False).hexdigest()


def _rows(**condition: object) -> Iterator[Row]:
    for values in Entity.objects.unrestricted(REASON).filter(**condition).values_list(*COLUMNS):
        yield Row(*values)


def compare(source: Source, found: Collected) -> Plan:
    """Compare a reading with the stored rows of its source, and with rows of others for the same references."""
    plan = Plan(rivals=list(found.rivals))
    own = {row.ref: row for row in _rows(source_id=source.pk)}
    plan.rows = own
    strangers = [ref for ref in found.declared if ref not in own]
    others = {row.ref: row for part in chunks(strangers) for row in _rows(ref__in=part)}
    priorities = dict(
        Source.objects.unrestricted(REASON)
        .filter(pk__in={row.source_id for row in others.values() if row.source_id})
        .values_list("pk", "priority")
    )
    for ref, declared in found.declared.items():
        plan.hashes[ref] = digest = content_hash(declared)
        if ref in own:
            _compare_own(plan, own[ref], declared, digest)
        elif ref not in others:
            plan.inserts.append(declared)
            plan.new.add(ref)
        elif (owner := others[ref].source_id) is None or priorities.get(owner, 0) > source.priority:
            plan.updates.append((others[ref], declared))
            plan.rows[ref] = others[ref]  # ours now, and perhaps the parent of what follows
        else:
            _lose(plan, others[ref], declared)
    _compare_absent(plan, own, found)
    return plan


def _compare_own(plan: Plan, row: Row, declared: Declared, digest: str) -> None:
    if row.content_hash != digest or row.has_errors:
        plan.updates.append((row, declared))
        return
    place = (row.url, row.document_index, row.line, row.commit)
    parent = plan.rows.get(declared.parent_ref)
    moved = place != (declared.url, declared.document, declared.line, declared.commit)
    adopted = declared.parent_ref in plan.new or row.parent_id != (parent.id if parent else None)
    if moved or adopted or row.state != Entity.State.ACTIVE:
        plan.moved.append((row, declared))


def _lose(plan: Plan, winner: Row, declared: Declared) -> None:
    same_file = winner.url == declared.url
    plan.lost.add(declared.ref)
    plan.rivals.append(
        Rival(declared.ref, declared.url, declared.document, declared.line, declared.parent_ref, same_file)
    )
    if not same_file:
        plan.conflicts.append((declared, winner))


def _compare_absent(plan: Plan, own: dict[str, Row], found: Collected) -> None:
    """Rows that this reading did not declare: invalid now, unreadable now, or gone."""
    there = found.declared.keys() | found.failed.keys() | found.kept
    absent = [row for ref, row in own.items() if ref not in there]
    by_id = {row.id: row for row in own.values()}
    kept: dict[int, str] = {}
    for ref, problem in found.failed.items():
        if ref in own:
            plan.failed.append((own[ref], problem))
    invalid = {own[ref].id for ref in found.invalid if ref in own}

    def reason(row: Row) -> str:
        """Why an absent row stays, or an empty text. A row whose file was read whole is gone."""
        if row.id in kept:
            return kept[row.id]
        kept[row.id] = ""  # ends a cycle of parents
        answer = ""
        if row.url in found.unread:
            answer = found.unread[row.url]
        elif row.url in found.broken:
            answer = f"A document in {row.url} cannot be read."
        elif row.url not in found.read and row.parent_id is not None and row.parent_id in by_id:
            parent = by_id[row.parent_id]
            if parent.id in invalid:
                answer = f"{parent.ref}, which leads to it, is not valid now."
            elif parent.ref not in found.declared and parent.ref not in found.failed:
                answer = reason(parent)
        kept[row.id] = answer
        return answer

    for row in absent:
        why = found.unread.get("", "") or reason(row)
        if not why:
            plan.removed.append(row)
        elif row.state != Entity.State.MISSING:
            plan.missing.append((row, why))
