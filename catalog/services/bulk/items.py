"""What is done with one entity or source of a bulk operation, and what turns that round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from catalog.models import BulkItem, BulkOperation, Entity, Source, Tombstone
from catalog.refs import parse_ref
from catalog.services.managed import (
    ANY_VERSION,
    Written,
    delete_entity,
    patch_entity,
    restore_revision,
)
from catalog.services.removals import restore_entity
from catalog.services.sources import AUDITED, create_source, delete_source, request_sync
from catalog.services.versions import wait_for_publications
from portal.access.viewer import CURATE, Viewer
from portal.core.errors import ConflictError, NotFoundError

REASON = "what a bulk operation was asked to change"
Effect, Outcome = BulkItem.Effect, BulkItem.Outcome
#: Entities that one transaction brings back.
TOGETHER = 100
_SOURCE_FIELDS = (*AUDITED, "registered_by")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an item. ``pending`` where there is more to do, which ``plan`` then says."""

    outcome: str
    effect: str = Effect.NONE
    reason: str = ""
    before: int | None = None
    after: int | None = None
    plan: dict[str, Any] | None = None


def do_item(*, actor: Viewer, operation: BulkOperation, item: BulkItem) -> Result:
    """Do one item in the caller's transaction.

    Raises:
        CallboardError: it cannot be done; nothing of it was.
    """
    wait_for_publications()
    return _DO[item.plan["undo"] if operation.verb == BulkOperation.Verb.UNDO else operation.verb](
        actor, operation, item
    )


def _unchanged_since(actor: Viewer, item: BulkItem) -> Entity:
    """The entity, if it still is the version that was looked at."""
    entity = Entity.objects.visible_to(actor, CURATE).filter(uid=item.subject).first()
    if entity is None:
        raise NotFoundError(f"{item.ref} is gone.")
    if entity.revision != item.before_number:
        by = entity.revised_by.partition(":")[2] or "its source"
        raise ConflictError(f"{entity.ref} was changed since, by {by}.", code="catalog.bulk.changed")
    found: Entity = entity
    return found


def _written(result: Written) -> Result:
    if result.outcome == "unchanged":
        return Result(Outcome.UNCHANGED)
    return Result(Outcome.DONE, Effect.CHANGED, before=result.before, after=result.entity.revision)


def _set(actor: Viewer, operation: BulkOperation, item: BulkItem) -> Result:
    entity = _unchanged_since(actor, item)
    patch = operation.change or {}
    return _written(patch_entity(actor=actor, ref=parse_ref(entity.ref), patch=patch))


def _delete(actor: Viewer, operation: BulkOperation, item: BulkItem) -> Result:
    entity = _unchanged_since(actor, item)
    delete_entity(actor=actor, ref=parse_ref(entity.ref), when=ANY_VERSION)
    return Result(Outcome.DONE, Effect.DELETED, before=entity.revision)


def _put_back(actor: Viewer, operation: BulkOperation, item: BulkItem) -> Result:
    entity = _unchanged_since(actor, item)
    return _written(restore_revision(actor=actor, entity=entity, number=item.plan["number"]))


def _restore(actor: Viewer, operation: BulkOperation, item: BulkItem) -> Result:
    stones = Tombstone.objects.visible_to(actor, CURATE).filter(uid=item.subject, restored_at=None)
    stone = stones.order_by("-pk").first()
    if stone is None:
        raise NotFoundError(f"{item.ref} was restored already, or its time is over.")
    restored = restore_entity(actor=actor, tombstone=stone)
    return Result(Outcome.DONE, Effect.RESTORED, after=restored.revision)


# --- sources


def _source(actor: Viewer, item: BulkItem) -> Source:
    source = Source.objects.visible_to(actor, CURATE).filter(pk=item.subject).first()
    if source is None:
        raise NotFoundError(f"The source {item.ref} is gone.")
    found: Source = source
    return found


def _refresh(actor: Viewer, operation: BulkOperation, item: BulkItem) -> Result:
    request_sync(actor=actor, source=_source(actor, item))
    return Result(Outcome.DONE, Effect.READ)


def _unregister(actor: Viewer, operation: BulkOperation, item: BulkItem) -> Result:
    source = _source(actor, item)
    fields = {name: getattr(source, name) for name in _SOURCE_FIELDS}
    removed = delete_source(actor=actor, source=source)
    return Result(
        Outcome.DONE, Effect.UNREGISTERED, f"{removed:,} entities went with it.", plan={"source": fields}
    )


def _register(actor: Viewer, operation: BulkOperation, item: BulkItem) -> Result:
    """Bring back what went with a source, some at a time under their uids; then the source, which takes them over."""
    after, back = item.plan.get("after", 0), item.plan.get("back", 0)
    stones = Tombstone.objects.visible_to(actor, CURATE).filter(
        revision__source_id=item.subject,
        reason=Tombstone.Reason.UNREGISTERED,
        restored_at=None,
        keep_until__gt=timezone.now(),
        pk__gt=after,
    )
    part = list(stones.order_by("pk")[:TOGETHER])
    for stone in part:
        try:
            with transaction.atomic():
                restore_entity(actor=actor, tombstone=stone)
            back += 1
        except ConflictError:  # somebody else declares it by now, and keeps it
            pass
    if len(part) == TOGETHER:
        plan = {**item.plan, "after": part[-1].pk, "back": back}
        return Result(Outcome.PENDING, plan=plan)
    create_source(actor=actor, id=UUID(str(item.subject)), **item.plan["source"])
    return Result(Outcome.DONE, Effect.REGISTERED, f"{back:,} entities came back with it.")


_DO: dict[str, Callable[[Viewer, BulkOperation, BulkItem], Result]] = {
    BulkOperation.Verb.SET: _set,
    BulkOperation.Verb.DELETE: _delete,
    BulkOperation.Verb.REFRESH: _refresh,
    BulkOperation.Verb.UNREGISTER: _unregister,
    Effect.CHANGED: _put_back,
    Effect.DELETED: _restore,
    Effect.RESTORED: _delete,
    Effect.UNREGISTERED: _register,
    Effect.REGISTERED: _unregister,
}
