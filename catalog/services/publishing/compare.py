"""What has to be written so that the catalog says what its source says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import orjson
from django.db.models import Q

from catalog.ingest.collected import Collected, Declared, Rival
from catalog.models import Contender, Entity, Source
from catalog.services.publishing.claims import claimed_earlier
from catalog.services.publishing.plan import COLUMNS, REASON, Plan, Row, chunks
from catalog.services.publishing.renames import find_renames


def content_hash(declared: Declared) -> str:
    """Fingerprint of what the source says of an entity, its relations included."""
    relations = ["\0".join(relation) for relation in declared.relations]
    body = orjson.dumps((declared.entity, relations), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha1(body, usedforsecurity=False).hexdigest()


def _rows(*conditions: Q, **condition: object) -> Iterator[Row]:
    rows = Entity.objects.unrestricted(REASON).filter(*conditions, **condition)
    for values in rows.values_list(*COLUMNS):
        yield Row(*values)


def _count(source: Source) -> int:
    return Entity.objects.unrestricted(REASON).filter(source=source).count()


class Standing:
    """Who wins where several sources declare an entity.

    Args:
        others: rows of other sources.
    """

    def __init__(self, source: Source, others: dict[str, Row]) -> None:
        self.priority = source.priority
        owners = {row.source_id for row in others.values() if row.source_id}
        rows = Source.objects.unrestricted(REASON).filter(pk__in=owners) if owners else Source.objects.none()
        self.priorities = dict(rows.values_list("pk", "priority"))
        equals = [
            r for r in others.values() if r.source_id and self.priorities.get(r.source_id) == source.priority
        ]
        self.earlier = claimed_earlier(source, equals) if equals else set()

    def beats(self, row: Row) -> bool:
        """Whether the source takes over an entity that another one has, or nobody."""
        worse = self.priorities.get(row.source_id, 0) > self.priority if row.source_id else True
        return worse or row.ref in self.earlier


def changed_rows(source: Source, found: Collected) -> tuple[dict[str, Row], dict[str, Row]]:
    """The rows that may differ from a reading which carried unchanged files over: its own and those of others.

    These are the rows of what changed files declare or declared, of the Locations above those, of all that is not as
    it should be (missing, with errors, an orphan), and of what other sources have as well. Carried entities that have
    to be written are processed after all, so afterwards every carried one among these rows only needs its place.
    """
    contenders = Contender.objects.unrestricted(REASON).filter(source=source)
    contested = {ref for ref in contenders.values_list("entity_ref", flat=True) if ref in found.carried}
    unsettled = ~Q(state=Entity.State.ACTIVE) | Q(has_errors=True)
    uneasy = list(_rows(unsettled, source_id=source.pk))
    looked_at: set[str] = {row.ref for row in uneasy} | contested | found.failed.keys()
    rows: dict[str, Row] = {}
    asked: set[str] = set()
    while True:
        looked_at |= found.touched | found.declared.keys()
        declared = [found.declared.get(ref) or found.carried.get(ref) for ref in looked_at]
        refs = looked_at | {d.parent_ref for d in declared if d is not None}
        for part in chunks(sorted(refs - asked)):
            rows.update((row.ref, row) for row in _rows(ref__in=part))
        asked |= refs
        own = {ref: row for ref, row in rows.items() if row.source_id == source.pk}
        others = {ref: row for ref, row in rows.items() if ref not in own}
        standing = Standing(source, others)
        coming = {
            ref
            for ref in asked
            if ref not in own and found.declares(ref) and (ref not in others or standing.beats(others[ref]))
        }
        written = {
            ref
            for ref in looked_at & found.carried.keys()
            if ref in coming
            or (ref in own and (own[ref].has_errors or own[ref].content_hash != found.hashes.get(ref)))
        }
        adopted = {d.ref for d in found.carried.values() if d.parent_ref in coming} if coming else set()
        if not written and adopted <= looked_at:
            # A parent that was only looked up for its key is nobody's contender.
            return own, {ref: row for ref, row in others.items() if ref in looked_at}
        found.thaw(written)
        looked_at |= adopted


def compare(source: Source, found: Collected) -> Plan:
    """Compare a reading with the stored rows of its source, and with rows of others for the same references.

    Where unchanged files were carried over, only the rows are loaded for which anything can be different.
    """
    plan = Plan(rivals=list(found.rivals))
    if found.partial:
        own, others = changed_rows(source, found)
    else:
        own = {row.ref: row for row in _rows(source_id=source.pk)}
        strangers = [ref for ref in found.declared if ref not in own]
        others = {row.ref: row for part in chunks(strangers) for row in _rows(ref__in=part)}
    plan.rows = own
    standing = Standing(source, others)
    for ref, declared in found.declared.items():
        plan.hashes[ref] = digest = found.hashes.get(ref) or content_hash(declared)
        found.hashes[ref] = digest
        if ref in own:
            _compare_own(plan, own[ref], declared, digest)
        elif ref not in others:
            plan.inserts.append(declared)
            plan.new.add(ref)
        elif standing.beats(others[ref]):
            plan.updates.append((others[ref], declared))
            plan.rows[ref] = others[ref]  # ours now, and perhaps the parent of what follows
        else:
            _lose(plan, others[ref], declared)
    for ref in [*own, *others] if found.partial else ():
        if ref in found.carried:
            carried = found.carried[ref]
            if ref in own:
                _compare_own(plan, own[ref], carried, own[ref].content_hash)
            else:
                _lose(plan, others[ref], carried)
    _compare_absent(plan, own, found)
    find_renames(plan)
    if plan.removed:
        plan.total = len(own) if not found.partial else _count(source)
    return plan


def _compare_own(plan: Plan, row: Row, declared: Declared, digest: str) -> None:
    if row.content_hash != digest or row.has_errors:
        plan.updates.append((row, declared))
        return
    # The commit is no place: one that changed nothing of an entity would otherwise write all of its file.
    place = (row.url, row.document_index, row.line)
    parent = plan.rows.get(declared.parent_ref)
    moved = place != (declared.url, declared.document, declared.line)
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
    reasons = _Reasons(own, found)
    for ref, problem in found.failed.items():
        if ref in own:
            plan.failed.append((own[ref], problem))
    for ref, row in own.items():
        if found.declares(ref) or ref in found.failed:
            continue
        why = found.unread.get("", "") or reasons.of(row)
        if not why:
            plan.removed.append(row)
        elif row.state != Entity.State.MISSING:
            plan.missing.append((row, why))


class _Reasons:
    """Why rows stay that a reading did not declare. (Not a function in a function that calls itself: that would keep
    the whole reading in memory until the garbage collector comes by.)
    """

    def __init__(self, own: dict[str, Row], found: Collected) -> None:
        self.found = found
        self.by_id = {row.id: row for row in own.values()}
        self.invalid = {own[ref].id for ref in found.invalid if ref in own}
        self.known: dict[int, str] = {}

    def of(self, row: Row) -> str:
        """An empty text where it does not stay. A row whose file was read whole is gone."""
        if row.id in self.known:
            return self.known[row.id]
        self.known[row.id] = ""  # ends a cycle of parents
        self.known[row.id] = answer = self._look(row)
        return answer

    def _look(self, row: Row) -> str:
        found = self.found
        if row.url in found.unread:
            return found.unread[row.url]
        if row.url in found.broken:
            return f"A document in {row.url} cannot be read."
        if row.url in found.read or row.parent_id is None or row.parent_id not in self.by_id:
            return ""
        parent = self.by_id[row.parent_id]
        if parent.id in self.invalid:
            return f"{parent.ref}, which leads to it, is not valid now."
        if found.declares(parent.ref) or parent.ref in found.failed:
            return ""
        return self.of(parent)
