"""Starting a bulk operation, and turning one round."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.models import BulkItem, BulkOperation
from catalog.services.bulk.changes import Change
from catalog.services.bulk.preview import CHANGE, REFUSED, Foreseen, preview_bulk
from catalog.services.bulk.selection import Selection
from catalog.services.versions import wait_for_publications
from portal.access.viewer import CURATE, Viewer
from portal.audit.services import record
from portal.core.errors import ConflictError, InputError, NotFoundError
from portal.jobs.models import Job
from portal.jobs.services import enqueue

BULK_JOB = "catalog.run_bulk"
REASON = "the operation that was asked for"
UNDOABLE = (
    BulkItem.Effect.CHANGED,
    BulkItem.Effect.DELETED,
    BulkItem.Effect.RESTORED,
    BulkItem.Effect.UNREGISTERED,
    BulkItem.Effect.REGISTERED,
)
_OUTCOMES = {CHANGE: BulkItem.Outcome.PENDING, REFUSED: BulkItem.Outcome.REFUSED}


@transaction.atomic
def start_bulk(*, actor: Viewer, selection: Selection, change: Change, token: str) -> BulkOperation:
    """Write down what was previewed, and queue the job that does it.

    Args:
        token: of the preview.

    Raises:
        InputError: no token. ConflictError: something changed since the preview.
    """
    if not token:
        raise InputError(
            "A bulk operation needs the token of its preview.",
            code="catalog.bulk.token",
            remedy='Ask with "preview": true first, look at the answer, and send its token.',
        )
    wait_for_publications()
    seen = preview_bulk(actor=actor, selection=selection, change=change)
    if seen.token != token:
        raise ConflictError(
            "These entities, or what they say, changed since the preview.",
            code="catalog.bulk.changed",
            remedy="Look at the preview again, and send its new token.",
        )
    operation = BulkOperation(
        verb=change.verb,
        change=dict(change.patch) if change.patch else None,
        selection=selection.as_json(),
        actor=actor.actor[:200],
        total=len(seen.items),
    )
    return _begin(actor, operation, (_item(operation, n, found) for n, found in enumerate(seen.items)))


@transaction.atomic
def undo_bulk(*, actor: Viewer, operation: BulkOperation) -> BulkOperation:
    """Put back exactly what an operation changed. What others changed since is left as it is, and listed.

    Raises:
        NotFoundError: there is no such operation. ConflictError: it still runs, was undone already, or changed nothing
            that can be put back.
    """
    stored = BulkOperation.objects.visible_to(actor, CURATE).filter(pk=operation.pk).first()
    if stored is None:
        raise NotFoundError(f"There is no operation {operation.pk}.")
    if not is_over(stored):
        raise ConflictError(
            "This operation still runs.", code="catalog.bulk.running", remedy="Wait for its end."
        )
    rows = BulkItem.objects.unrestricted(REASON).filter(operation=stored, effect__in=UNDOABLE)
    done = list(rows.order_by("-position"))
    if not done:
        raise ConflictError(
            "This operation changed nothing that could be put back.",
            code="catalog.bulk.nothing",
            remedy="None is needed.",
        )
    undo = BulkOperation(
        verb=BulkOperation.Verb.UNDO, undoes=stored, actor=actor.actor[:200], total=len(done)
    )
    try:
        with transaction.atomic():
            undo.save(force_insert=True)
    except IntegrityError as error:
        raise ConflictError(
            "This operation was undone already.", code="catalog.bulk.undone", remedy="Undo the undo instead."
        ) from error
    return _begin(actor, undo, (_inverse(undo, n, item) for n, item in enumerate(done)), saved=True)


def is_over(operation: BulkOperation) -> bool:
    """Whether nothing of it will happen any more."""
    if operation.state != BulkOperation.State.RUNNING:
        return True
    if operation.job_id is None:
        return False
    job = Job.objects.unrestricted(REASON).filter(pk=operation.job_id).first()
    return job is None or job.is_over


def _begin(
    actor: Viewer, operation: BulkOperation, items: Iterable[BulkItem], *, saved: bool = False
) -> BulkOperation:
    if not saved:
        operation.save(force_insert=True)
    BulkItem.objects.bulk_create(items, batch_size=500)
    job = enqueue(
        actor=actor,
        kind=BULK_JOB,
        subject=operation.get_verb_display(),
        payload={"operation": str(operation.pk)},
    )
    operation.job_id = job.pk
    BulkOperation.objects.filter(pk=operation.pk).update(job_id=job.pk)
    record(
        actor=actor.actor,
        verb="catalog.bulk.started",
        target=operation,
        after={
            "verb": operation.verb,
            "change": operation.change,
            "selection": operation.selection,
            "items": operation.total,
            "undoes": operation.undoes and operation.undoes.pk,
        },
    )
    return operation


def _item(operation: BulkOperation, position: int, found: Foreseen) -> BulkItem:
    refused = found.outcome == REFUSED
    return BulkItem(
        operation=operation,
        position=position,
        ref=found.ref,
        subject=found.subject,
        outcome=_OUTCOMES.get(found.outcome, BulkItem.Outcome.UNCHANGED),
        reason=found.reason[:500] if refused else "",
        before_number=found.number,
    )


def _inverse(undo: BulkOperation, position: int, item: BulkItem) -> BulkItem:
    return BulkItem(
        operation=undo,
        position=position,
        ref=item.ref,
        subject=item.subject,
        before_number=item.after_number,
        plan={
            "undo": item.effect,
            "number": item.before_number,
            **{key: value for key, value in item.plan.items() if key == "source"},
        },
    )


def finish_bulk(*, actor: str, operation: BulkOperation, state: str) -> None:
    """Write the end of an operation; only the first time counts."""
    rows = BulkOperation.objects.filter(pk=operation.pk, state=BulkOperation.State.RUNNING)
    if rows.update(state=state, finished_at=timezone.now()):
        record(actor=actor, verb=f"catalog.bulk.{state}", target=operation)
