"""The job of a bulk operation: its items one after the other, each whole or not at all.

What an item changes and its outcome are one transaction, fenced by the job: after a crash the next worker goes on with
the items that are still pending, and none is done twice.
"""

from __future__ import annotations

import time
from uuid import UUID

from django.db import transaction

from catalog.models import BulkItem, BulkOperation
from catalog.services.bulk.items import Result, do_item
from catalog.services.bulk.operations import finish_bulk
from portal.core.errors import CallboardError, NotFoundError, ServiceUnavailableError, TimedOutError
from portal.jobs.running import JobCancelledError, JobContext

REASON = "the worker's own operation"
#: Items of one transaction, and its length, after which it ends early.
BATCH, BATCH_SECONDS = 50, 1.0


def run_bulk(*, context: JobContext, operation_id: UUID) -> dict[str, object]:
    """Do what is still to be done of an operation.

    Raises:
        NotFoundError: there is no such operation any more.
    """
    operation = BulkOperation.objects.unrestricted(REASON).filter(pk=operation_id).first()
    if operation is None:
        raise NotFoundError(f"There is no bulk operation {operation_id} any more.", code="catalog.bulk.gone")
    items = BulkItem.objects.unrestricted(REASON).filter(operation=operation)
    left = items.filter(outcome=BulkItem.Outcome.PENDING).count()
    done = operation.total - left
    try:
        while True:
            context.progress(done, operation.total, "Writing")
            with context.writing():
                batch = list(items.filter(outcome=BulkItem.Outcome.PENDING).order_by("position")[:BATCH])
                if not batch:
                    finish_bulk(actor=context.job.actor, operation=operation, state=BulkOperation.State.DONE)
                    break
                done += _do(context, operation, batch)
    except JobCancelledError:
        finish_bulk(actor=context.job.actor, operation=operation, state=BulkOperation.State.CANCELLED)
        raise
    context.progress(done, operation.total, "Done", now=True)
    return {"operation": str(operation.pk), "items": operation.total}


def _do(context: JobContext, operation: BulkOperation, batch: list[BulkItem]) -> int:
    """Do items for about a second. Returns how many are over."""
    started, done = time.monotonic(), 0
    for item in batch:
        result = _one(context, operation, item)
        item.outcome, item.effect, item.plan = result.outcome, result.effect, result.plan or item.plan
        item.reason, item.after_number = result.reason[:500], result.after
        item.before_number = result.before or item.before_number
        item.save(update_fields=["outcome", "effect", "plan", "reason", "after_number", "before_number"])
        if item.outcome == BulkItem.Outcome.PENDING:  # a long one: the rest of it is another transaction
            break
        done += 1
        if time.monotonic() - started > BATCH_SECONDS:
            break
    return done


def _one(context: JobContext, operation: BulkOperation, item: BulkItem) -> Result:
    try:
        with transaction.atomic():
            return do_item(actor=context.viewer, operation=operation, item=item)
    except (ServiceUnavailableError, TimedOutError):
        raise  # a passing trouble of everything, not of this entity
    except CallboardError as error:
        return Result(BulkItem.Outcome.REFUSED, reason=f"{error.message} {error.remedy}".strip())
