"""Removed entities come back on demand; removals that look like an accident wait for somebody (DESIGN, Lifecycle)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import orjson
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from catalog.ingest.annotations import ORPHAN
from catalog.ingest.collected import Declared
from catalog.ingest.relations import Relation
from catalog.models import Entity, Quarantine, Revision, RevisionRelation, Source, Tombstone
from catalog.services.managed.writing import keep_text
from catalog.services.publishing.cause import Cause
from catalog.services.publishing.plan import REASON, Plan
from catalog.services.publishing.publish import apply_plans
from catalog.services.publishing.withdraw import remove_entity
from catalog.services.sources import request_sync
from portal.access.viewer import CURATE, Viewer
from portal.audit.services import record
from portal.core.errors import ConflictError, NotFoundError

HELD = "No longer declared; held back with many others until somebody decides."
REJECTED = "No longer declared; somebody decided that it stays."


@dataclass(frozen=True, slots=True)
class Held:
    """Removals that a sync did not do.

    Attributes:
        total: entities that the source had before.
    """

    refs: tuple[str, ...]
    total: int

    @property
    def digest(self) -> str:
        return hashlib.sha1("\n".join(self.refs).encode(), usedforsecurity=False).hexdigest()


def hold_back(source: Source, plan: Plan) -> Held | None:
    """Take removals out of ``plan`` that look like an accident; their entities stay, marked missing.

    That is at least ``CALLBOARD_REMOVAL_LEAST`` entities and more than ``CALLBOARD_REMOVAL_SHARE`` of the source,
    unless somebody accepted the removal of these very entities.
    """
    going = len(plan.removed)
    if going < settings.CALLBOARD_REMOVAL_LEAST or going <= plan.total * settings.CALLBOARD_REMOVAL_SHARE:
        return None
    held = Held(tuple(sorted(row.ref for row in plan.removed)), plan.total)
    decisions = Quarantine.objects.unrestricted(REASON).filter(source=source, digest=held.digest)
    decision = decisions.values_list("state", flat=True).first()
    if decision == Quarantine.State.ACCEPTED:
        return None
    why = REJECTED if decision == Quarantine.State.REJECTED else HELD
    plan.missing += [(row, why) for row in plan.removed if row.state != Entity.State.MISSING]
    plan.removed = []
    return held


def note_held(source: Source, held: Held | None, sync_id: int) -> None:
    """Keep the question that a sync raised, or take away one that its source has answered itself."""
    rows = Quarantine.objects.unrestricted(REASON).filter(source=source)
    if held is None:
        rows.delete()
        return
    if rows.filter(digest=held.digest).exists():
        return
    rows.delete()
    Quarantine.objects.create(
        source=source,
        refs=list(held.refs),
        digest=held.digest,
        count=len(held.refs),
        total=held.total,
        sync_id=sync_id,
        created_at=timezone.now(),
    )


@transaction.atomic
def decide_removal(*, actor: Viewer, quarantine: Quarantine, accept: bool) -> None:
    """Let the entities go with the next reading, which is queued, or let them stay.

    Raises:
        NotFoundError: the question is gone.
        ConflictError: it was decided already, or is about other entities by now.
    """
    rows = Quarantine.objects.visible_to(actor, CURATE).filter(pk=quarantine.pk)
    current = rows.select_related("source").first()
    if current is None:
        raise NotFoundError("This question is gone: the source declares its entities again.")
    state = Quarantine.State.ACCEPTED if accept else Quarantine.State.REJECTED
    decided = Quarantine.objects.filter(
        pk=quarantine.pk, digest=quarantine.digest, state=Quarantine.State.PENDING
    ).update(state=state, decided_at=timezone.now(), decided_by=actor.actor)
    if not decided:
        raise ConflictError(
            f"The removals of {current.source.name} were decided already, or are others by now.",
            code="catalog.quarantine.decided",
            remedy="Look at them again.",
        )
    record(
        actor=actor.actor,
        verb=f"catalog.quarantine.{state.value}",
        target=current.source,
        after={"entities": current.count, "of": current.total, "digest": current.digest},
    )
    request_sync(actor=actor, source=current.source, force=True)


@transaction.atomic
def remove_by_uid(*, actor: Viewer, uid: str) -> None:
    """Remove one entity by hand, where there is one of that uid.

    What a source still declares comes back with its next reading, which is queued in the same transaction: a process
    that ends in between must not leave out what is declared.
    """
    for source in remove_entity(actor=actor, uid=uid):
        request_sync(actor=actor, source=source, force=True)


@transaction.atomic
def restore_entity(*, actor: Viewer, tombstone: Tombstone) -> Entity:
    """Bring a removed entity back under its uid, as an orphan: whoever declares it next takes it over.

    What was kept here is kept here again.

    Raises:
        NotFoundError: it was restored already, or its time is over.
        ConflictError: an entity of that reference is there again.
    """
    rows = Tombstone.objects.visible_to(actor, CURATE).filter(pk=tombstone.pk)
    current = rows.select_related("source").first()
    now = timezone.now()
    taken = Tombstone.objects.filter(pk=tombstone.pk, restored_at=None, keep_until__gt=now)
    if current is None or not taken.update(restored_at=now, restored_by=actor.actor):
        raise NotFoundError(
            f"{tombstone.ref} cannot be restored any more.",
            code="catalog.tombstone.gone",
            remedy="Declare it in a descriptor.",
        )
    if Entity.objects.unrestricted(REASON).filter(ref=current.ref).exists():
        raise ConflictError(
            f"{current.ref} is there again, as another entity.",
            code="catalog.tombstone.taken",
            remedy="Remove that one first, if this one is the right one.",
        )
    revision = Revision.objects.unrestricted(REASON).get(pk=current.revision_id)
    keeper = current.source if current.source and current.source.type == Source.Type.MANAGED else None
    declared = declared_by(revision, orphan=keeper is None)
    apply_plans(
        plan_of=lambda: _plan(declared, revision),
        declared={declared.ref: declared},
        source=keeper,
        cause=Cause(actor.actor),
        writing=transaction.atomic,
        progress=lambda done, total, text: None,
        restored={current.ref: revision},
    )
    if keeper is not None:
        keep_text(actor=actor, source=keeper, ref=current.ref, document=orjson.loads(revision.text))
    record(
        actor=actor.actor,
        verb="catalog.entity.restored",
        target=current,
        after={"ref": current.ref, "uid": str(current.uid)},
    )
    restored: Entity = Entity.objects.unrestricted(REASON).get(uid=current.uid)
    return restored


def declared_by(revision: Revision, *, orphan: bool = True) -> Declared:
    """What a past version declared; as an orphan, it says so."""
    entity = orjson.loads(revision.text)
    for name in ("relations", "status"):
        entity.pop(name, None)
    for name in ("uid", "etag"):
        entity["metadata"].pop(name, None)
    annotations = entity["metadata"].get("annotations", {})
    entity["metadata"]["annotations"] = {**annotations, ORPHAN: "true"} if orphan else annotations
    relations = RevisionRelation.objects.unrestricted(REASON).filter(revision=revision).order_by("pk")
    return Declared(
        ref=revision.ref,
        kind=entity["kind"],
        namespace=entity["metadata"].get("namespace", revision.namespace),
        name=entity["metadata"]["name"],
        entity=entity,
        relations=tuple(Relation(*r) for r in relations.values_list("source_ref", "type", "target_ref")),
        url=revision.url,
        document=revision.document_index,
        line=revision.line,
        commit=revision.commit,
        parent_ref="",
    )


def _plan(declared: Declared, revision: Revision) -> Plan:
    if Entity.objects.unrestricted(REASON).filter(ref=declared.ref).exists():
        return Plan()
    return Plan(inserts=[declared], hashes={declared.ref: revision.content_hash}, new={declared.ref})


def forget_old_tombstones() -> int:
    """Delete those whose time is over, at the end of any sync. Returns how many."""
    old = Tombstone.objects.unrestricted("old tombstones of everybody").filter(keep_until__lt=timezone.now())
    return old.delete()[0]
