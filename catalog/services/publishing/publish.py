"""Writing a plan: in one transaction on PostgreSQL, in short ones on SQLite."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import DateTimeField, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from catalog.ingest.collected import Collected, Declared
from catalog.ingest.final import final_document
from catalog.models import (
    Alias,
    Contender,
    Entity,
    EntityAttribute,
    EntityDocument,
    Relation,
    Revision,
    Source,
)
from catalog.services.publishing.announce import (
    CONTENT,
    CREATED,
    PLACE,
    RELATIONS,
    REMOVED,
    RENAMED,
    RESTORED,
    STATE,
    STATUS,
    Announcements,
)
from catalog.services.publishing.bury import bury
from catalog.services.publishing.cause import Cause
from catalog.services.publishing.claims import note_taken
from catalog.services.publishing.compare import compare
from catalog.services.publishing.documents import failed_status, rewritten
from catalog.services.publishing.plan import REASON, Plan, Row, chunks
from catalog.services.publishing.references import recheck_targets
from catalog.services.publishing.relations import RelationMap, stored_relations
from catalog.services.publishing.revisions import close_versions
from catalog.services.publishing.rows import (
    CONTENT_COLUMNS,
    ENTITY_COLUMNS,
    NAME_COLUMNS,
    PLACE_COLUMNS,
    AttributeWriter,
    content_values,
    entity_row,
    name_values,
    place_values,
)
from catalog.services.versions import ENTITIES, claim_version, current_version
from portal.core.bulk import insert_rows, meanwhile, next_ids, update_rows
from portal.core.errors import ServiceUnavailableError

Writing = Callable[[], AbstractContextManager[None]]
Progress = Callable[[int, int, str], None]
Inherit = Callable[[set[UUID]], None]
SQLITE_SECONDS = 1.0
#: Entities that are worked on between two pieces of a COPY.
STEP = 250
SQLITE_ROWS = 250
VERSION_COLUMNS = ("revision", "revised_at", "revised_by")
TRIES = 50


@dataclass(slots=True)
class Counts:
    """What publishing changed.

    Attributes:
        heirs: other sources that should be read again: they declare what was removed, or declared what was taken over.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    missing: int = 0
    failed: int = 0
    changed_refs: list[str] = field(default_factory=list)
    removed_refs: list[str] = field(default_factory=list)
    heirs: set[UUID] = field(default_factory=set)

    @property
    def anything(self) -> bool:
        return bool(self.added or self.changed or self.removed or self.missing or self.failed)


def publish(
    *,
    source: Source,
    found: Collected,
    cause: Cause,
    writing: Writing,
    progress: Progress,
    look: Callable[[Plan], None] = lambda plan: None,
    inherit: Inherit = lambda heirs: None,
    gather: Callable[[], None] = lambda: None,
) -> tuple[Counts, Plan]:
    """Make the catalog say what ``found`` says for ``source``.

    Args:
        cause: who or what changes it, and why entities go that are not declared any more.
        writing: gives the transaction to write in (fenced by the job).
        look: sees each comparison before it is written, and may change it.
        inherit: told of new heirs, in the transaction that makes them heirs.
        gather: fills ``found`` before each comparison, where it comes from the database itself.

    Returns:
        The counts, and the last comparison (its conflicts and rivals become records).
    """

    def plan_of() -> Plan:
        gather()
        plan = compare(source, found)
        look(plan)
        return plan

    return apply_plans(
        plan_of=plan_of,
        declared=found.declared,
        source=source,
        cause=cause,
        writing=writing,
        progress=progress,
        inherit=inherit,
    )


def apply_plans(
    *,
    plan_of: Callable[[], Plan],
    declared: Mapping[str, Declared],
    source: Source | None,
    cause: Cause,
    writing: Writing,
    progress: Progress,
    restored: Mapping[str, Revision] | None = None,
    inherit: Inherit = lambda heirs: None,
) -> tuple[Counts, Plan]:
    """Write what ``plan_of`` says until there is nothing left to write.

    Other sources may publish meanwhile: the number of the last publication is claimed inside each transaction, and
    where somebody was faster everything not yet written is compared again.

    Args:
        source: whose entities these are; None for such as nobody declares.
        cause: who or what changes the catalog.
        restored: entities that come back, with the last version they had.
        inherit: told of new heirs, in the transaction that makes them heirs.

    Raises:
        ServiceUnavailableError: others were faster every time.
    """
    counts = Counts()
    for attempt in range(TRIES):
        seen = current_version(ENTITIES)
        plan = plan_of()
        if not plan.has_work():
            return counts, plan
        relations = RelationMap(d for d in declared.values() if d.ref not in plan.lost)
        writer = _Writer(source, cause, relations, plan.hashes, plan.rows, restored or {})
        undisturbed = True
        while plan.has_work() and undisturbed:
            part = _next_part(plan)
            with writing():
                undisturbed = claim_version(ENTITIES, seen)
                if undisturbed:
                    earlier = set(counts.heirs)
                    writer.write(part, counts)
                    inherit(counts.heirs - earlier)
            seen += 1
            progress(counts.added + counts.changed, len(declared), "Writing")
        if undisturbed:
            return counts, plan
        time.sleep(min(0.05 * attempt, 0.5))
    raise ServiceUnavailableError(
        "Other sources published all the time; this one could not.",
        code="catalog.publish.busy",
        remedy="It is tried again.",
    )


def _next_part(plan: Plan) -> Plan:
    """Take from ``plan`` what one transaction may write: everything on PostgreSQL, a bounded part on SQLite."""
    part = Plan()
    room = SQLITE_ROWS if connection.vendor == "sqlite" else 10**9
    for name in ("removed", "inserts", "updates", "moved", "failed", "missing"):
        rows: list[Any] = getattr(plan, name)
        setattr(part, name, rows[:room])
        setattr(plan, name, rows[room:])
        room -= min(room, len(rows))
    return part


class _Writer:
    """Writes the parts of one plan, one after the other: what an earlier part inserted is a parent in a later one."""

    def __init__(
        self,
        source: Source | None,
        cause: Cause,
        relations: RelationMap,
        hashes: dict[str, str],
        rows: dict[str, Row],
        restored: Mapping[str, Revision],
    ) -> None:
        self.source = source
        self.cause = cause
        self.restored = restored
        self.news = Announcements(source, cause)
        self.relations = relations
        self.hashes = hashes
        self.ids = {ref: row.id for ref, row in rows.items()}
        self.now: datetime = timezone.now()
        # The last reading that saw everything active of the source as it stands.
        self.confirmed_at = (source.last_success_at or source.created_at) if source is not None else None

    def write(self, part: Plan, counts: Counts) -> None:
        removed = {row.id: row.ref for row in part.removed}
        written = {row.id: declared for row, declared in part.updates}
        new_ids = next_ids(Entity, len(part.inserts))
        self.ids.update((d.ref, i) for d, i in zip(part.inserts, new_ids, strict=True))
        self.ids.update((d.ref, row.id) for row, d in part.updates)
        self.news = Announcements(self.source, self.cause)

        old = stored_relations([*removed, *written])
        wanted: set[tuple[int, str, str, str]] = set()
        for entity_id, declared in [*zip(new_ids, part.inserts, strict=True), *written.items()]:
            wanted.update((entity_id, *relation) for relation in declared.relations)
        gone, added = old.keys() - wanted, wanted - old.keys()
        shown = {source for _, source, _, _ in gone} | {source for _, source, _, _ in added}
        own = {d.ref for d in part.inserts} | {d.ref for d in written.values()}
        leaving = set(removed.values())
        renamed = {row.ref for row, d in part.updates if row.ref != d.ref}
        others = self.relations.of_others(shown | own, leaving | renamed)

        if removed:
            for stone in bury(list(removed), self.cause, source=self.source, now=self.now):
                self.news.add(REMOVED, stone.ref, stone.uid, stone.revision.number, reason=self.cause.removal)
        close_versions(
            [*written, *(row.id for row, d in part.moved if row.url != d.url)],
            end=Revision.End.CHANGED,
            now=self.now,
        )
        for keys in chunks([old[key] for key in gone]):
            Relation.objects.unrestricted(REASON).filter(pk__in=keys).delete()
        for keys in chunks(list(removed)):
            Entity.objects.filter(parent_id__in=keys).update(parent=None)
            EntityAttribute.objects.unrestricted(REASON).filter(entity_id__in=keys).delete()
            Entity.objects.unrestricted(REASON).filter(pk__in=keys).delete()
        self._insert(part.inserts, new_ids, others, added)
        note_taken(self.source, (row for row, _ in part.updates), self.now)
        self._update(part.updates, others)
        self._move(part.moved)
        self._mark_missing(part.missing)
        self._rewrite(
            shown - own - leaving - renamed, others, {row.ref: problem for row, problem in part.failed}
        )
        ends = {target for _, _, _, target in gone | added}
        news = {d.ref for d in part.inserts} | {d.ref for row, d in part.updates if row.ref != d.ref}
        recheck_targets(ends | leaving | renamed, arrived=news)
        self.news.publish()

        counts.heirs |= self._heirs(leaving | renamed, {row.source_id for row, _ in part.updates})
        counts.added += len(part.inserts)
        counts.changed += len(part.updates)
        counts.removed += len(part.removed)
        counts.missing += len(part.missing)
        counts.failed += len(part.failed)
        counts.changed_refs += own
        counts.removed_refs += leaving | renamed

    def _heirs(self, leaving: set[str], earlier: set[UUID | None]) -> set[UUID]:
        """Sources to compare anew, also if this process dies before it can ask for that."""
        heirs = {pk for pk in earlier if pk is not None}
        for part in chunks(sorted(leaving)):
            rivals = Contender.objects.unrestricted(REASON).filter(entity_ref__in=part)
            heirs.update(rivals.values_list("source_id", flat=True))
        if self.source is not None:
            heirs.discard(self.source.pk)
        Source.objects.filter(pk__in=heirs).update(version="")
        return heirs

    def _shown(self, ref: str, others: dict[str, set[tuple[str, str, str]]]) -> set[tuple[str, str]]:
        """What stands in the document of ``ref``: (type, target), each once."""
        return self.relations.by_source.get(ref, set()) | {
            (kind, target) for kind, target, _ in others.get(ref, ())
        }

    def _place(self, declared: Declared) -> tuple[Any, ...]:
        parent = self.ids.get(declared.parent_ref)
        source = self.source.pk if self.source is not None else None
        return place_values(declared, source_id=source, parent_id=parent, sync_id=self.cause.sync_id)

    def _insert(
        self,
        inserts: list[Declared],
        ids: list[int],
        others: dict[str, set[tuple[str, str, str]]],
        relations: set[tuple[int, str, str, str]],
    ) -> None:
        """New entities, and all new relations. Keys are checked at the end, so that the order is free."""
        rows: list[tuple[Any, ...]] = []
        documents: list[tuple[int, str]] = []
        attributes = AttributeWriter()

        def take_attributes() -> Iterator[None]:
            for part in chunks(list(zip(ids, inserts, strict=True)), STEP):
                for entity_id, declared in part:
                    attributes.add(entity_id, declared.entity)
                yield

        def finish_documents() -> Iterator[None]:
            for part in chunks(list(zip(ids, inserts, strict=True)), STEP):
                for entity_id, declared in part:
                    row, text = self._new_row(entity_id, declared, others)
                    rows.append(row)
                    documents.append((entity_id, text))
                yield

        self._take_names([declared.ref for declared in inserts])
        columns = ("origin_id", "source_ref", "type", "target_ref")
        insert_rows(Relation, columns, meanwhile(sorted(relations), take_attributes()))
        attributes.write(finish_documents())
        insert_rows(Entity, ENTITY_COLUMNS, rows)
        insert_rows(EntityDocument, ("entity_id", "text"), documents)

    def _new_row(
        self, entity_id: int, declared: Declared, others: dict[str, set[tuple[str, str, str]]]
    ) -> tuple[tuple[Any, ...], str]:
        last = self.restored.get(declared.ref)
        uid = last.uid if last else uuid.uuid4()
        relations = self._shown(declared.ref, others)
        text, etag = final_document(declared.entity, uid=str(uid), relations=relations)
        digest, place = self.hashes[declared.ref], self._place(declared)
        row = entity_row(
            declared,
            id=entity_id,
            uid=uid,
            etag=etag,
            digest=digest,
            place=place,
            now=self.now,
            actor=self.cause.actor,
            last=last,
        )
        kind, number = (RESTORED, last.number + 1) if last else (CREATED, 1)
        self.news.add(kind, declared.ref, uid, number)
        return row, text

    @staticmethod
    def _take_names(refs: list[str]) -> None:
        """A reference that somebody bears now leads nowhere else any more."""
        if Alias.objects.unrestricted(REASON).exists():
            for part in chunks(refs):
                Alias.objects.unrestricted(REASON).filter(ref__in=part).delete()

    def _update(
        self, updates: list[tuple[Row, Declared]], others: dict[str, set[tuple[str, str, str]]]
    ) -> None:
        if not updates:
            return
        ids = [row.id for row, _ in updates]
        known: dict[int, tuple[UUID, int, datetime]] = {}
        for part in chunks(ids):
            rows = Entity.objects.unrestricted(REASON).filter(pk__in=part)
            known.update(
                (pk, (uid, number, since))
                for pk, uid, number, since in rows.values_list("id", "uid", "revision", "revised_at")
            )
        renames = any(row.ref != declared.ref for row, declared in updates)
        entities, documents, attributes = [], [], AttributeWriter()
        state = (Entity.State.ACTIVE.value, "", None, False, None)
        for row, declared in updates:
            uid, number, since = known[row.id]
            text, etag = final_document(
                declared.entity, uid=str(uid), relations=self._shown(declared.ref, others)
            )
            if row.ref == declared.ref:
                self.news.add_changed(CONTENT, [(row.ref, uid, number + 1)])
            else:
                self.news.add(RENAMED, declared.ref, uid, number + 1, earlier=row.ref)
                self._remember_name(row, declared)
            names = name_values(declared) if renames else ()
            written = (etag, self.hashes[declared.ref], self.now, *self._next_version(number, since), row.id)
            entities.append((*names, *content_values(declared), *self._place(declared), *state, *written))
            documents.append((text, row.id))
            attributes.add(row.id, declared.entity)
        columns = (
            "state",
            "state_reason",
            "state_since",
            "has_errors",
            "confirmed_at",
            "etag",
            "content_hash",
        )
        update_rows(
            Entity,
            (
                *(NAME_COLUMNS if renames else ()),
                *CONTENT_COLUMNS,
                *PLACE_COLUMNS,
                *columns,
                "changed_at",
                *VERSION_COLUMNS,
            ),
            entities,
        )
        update_rows(EntityDocument, ("text",), documents)
        for part in chunks(ids):
            EntityAttribute.objects.unrestricted(REASON).filter(entity_id__in=part).delete()
        attributes.write()

    def _next_version(self, number: int, since: datetime) -> tuple[int, datetime, str]:
        """Values for ``VERSION_COLUMNS`` after the version ``number``, which was closed.

        It never begins before the one it follows, also where a clock was set back.
        """
        return number + 1, max(self.now, since), self.cause.actor

    def _remember_name(self, row: Row, declared: Declared) -> None:
        self._take_names([declared.ref, row.ref])
        Alias.objects.create(ref=row.ref, entity_id=row.id, created_at=self.now)

    def _move(self, moved: list[tuple[Row, Declared]]) -> None:
        columns = (*PLACE_COLUMNS, "state", "state_reason", "state_since", "confirmed_at")
        state = (Entity.State.ACTIVE.value, "", None, None)
        update_rows(Entity, columns, [(*self._place(declared), *state, row.id) for row, declared in moved])
        elsewhere = {row.id for row, declared in moved if row.url != declared.url}
        told = elsewhere | {row.id for row, _ in moved if row.state != Entity.State.ACTIVE}
        versions = []
        for part in chunks(sorted(told)):
            rows = Entity.objects.unrestricted(REASON).filter(pk__in=part).order_by("pk")
            for pk, ref, uid, number, since in rows.values_list("id", "ref", "uid", "revision", "revised_at"):
                if pk in elsewhere:
                    versions.append((*self._next_version(number, since), pk))
                    self.news.add_changed(PLACE, [(ref, uid, number + 1)])
                else:
                    self.news.add_changed(STATE, [(ref, uid, number)])
        update_rows(Entity, VERSION_COLUMNS, versions)

    def _mark_missing(self, missing: list[tuple[Row, str]]) -> None:
        by_reason: dict[str, list[int]] = defaultdict(list)
        for row, why in missing:
            by_reason[why[:300]].append(row.id)
        for why, ids in by_reason.items():
            for part in chunks(ids):
                rows = Entity.objects.unrestricted(REASON).filter(pk__in=part)
                rows.update(
                    state=Entity.State.MISSING,
                    state_reason=why,
                    state_since=self.now,
                    confirmed_at=Coalesce("confirmed_at", Value(self.confirmed_at, DateTimeField())),
                )
                self.news.add_changed(STATE, rows.order_by("pk").values_list("ref", "uid", "revision"))

    def _rewrite(
        self, refs: set[str], others: dict[str, set[tuple[str, str, str]]], failed: dict[str, Any]
    ) -> None:
        """New relations or a new status in documents whose own content did not change."""
        for part in chunks(sorted(refs | failed.keys())):
            documents, entities = [], []
            for entity in Entity.objects.unrestricted(REASON).filter(ref__in=part).select_related("document"):
                problem = failed.get(entity.ref)
                status = failed_status(problem) if problem else None
                shown = self._shown(entity.ref, others) if entity.ref in refs else None
                before = entity.document.text
                text, etag = rewritten(before, entity.etag, shown, status)
                if problem is not None:
                    entity.has_errors, entity.confirmed_at = True, entity.confirmed_at or self.confirmed_at
                if text != before:
                    entity.changed_at = self.now
                    documents.append((text, entity.pk))
                    part_of_it = STATUS if problem else RELATIONS
                    self.news.add_changed(part_of_it, [(entity.ref, entity.uid, entity.revision)])
                if text != before or problem is not None:
                    row = (etag, entity.changed_at, entity.has_errors, entity.confirmed_at, entity.pk)
                    entities.append(row)
            update_rows(EntityDocument, ("text",), documents)
            update_rows(Entity, ("etag", "changed_at", "has_errors", "confirmed_at"), entities)
