"""Whether what is kept beside the catalog agrees with it: readings, kept texts, operations, answers, deliveries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Max
from django.utils import timezone

from catalog.models import (
    BulkItem,
    BulkOperation,
    Contender,
    Entity,
    KeptDocument,
    Revision,
    Source,
    Sync,
    SyncCount,
)
from catalog.services.managed.documents import as_written
from catalog.services.syncing import KEPT_SYNCS
from portal.access.models import IdempotentAnswer
from portal.events.models import Delivery, Subscription

REASON = "a check compares everything"
_VERSIONS = {BulkItem.Effect.CHANGED, BulkItem.Effect.RESTORED}


def readings() -> Iterator[str]:
    """Each reading was counted once, as what it came to; the freshness of a source is that of its last good one."""
    counted: Counter[tuple[object, str]] = Counter()
    for key, outcome, count in SyncCount.objects.unrestricted(REASON).values_list(
        "source", "outcome", "count"
    ):
        counted[key, outcome] += count
    rows = Sync.objects.unrestricted(REASON).exclude(state=Sync.State.RUNNING)
    found = Counter(rows.values_list("source", "outcome"))
    good = dict(
        rows.filter(outcome=Sync.Outcome.SUCCESS)
        .values("source")
        .annotate(at=Max("finished_at"))
        .values_list("source", "at")
    )
    for source in Source.objects.unrestricted(REASON):
        mine = {
            outcome: (counted[source.pk, outcome], found[source.pk, outcome])
            for outcome in Sync.Outcome.values
        }
        whole = sum(count for count, _ in mine.values()) <= KEPT_SYNCS
        for outcome, (count, kept) in mine.items():
            if count < kept or (whole and count != kept):
                yield f"{source}: {count} readings were counted as {outcome}, {kept} are there"
        if source.pk in good and source.last_success_at != good[source.pk]:
            yield f"{source} was last read {good[source.pk]}, and says {source.last_success_at}"
        if (source.failures == 0) != (source.failing_since is None):
            yield f"{source} failed {source.failures} times in a row, since {source.failing_since}"


def kept_texts() -> Iterator[str]:
    """What is kept here and what the catalog shows are the same; a text without an entity waits for another source."""
    managed = Entity.objects.unrestricted(REASON).filter(source__type=Source.Type.MANAGED)
    shown: dict[tuple[UUID | None, str], Entity] = {
        (e.source_id, e.ref): e for e in managed.exclude(kind="location").select_related("document")
    }
    kept: dict[tuple[UUID | None, str], str] = {
        (k.source_id, k.ref): k.text for k in KeptDocument.objects.unrestricted(REASON)
    }
    waiting = set(Contender.objects.unrestricted(REASON).values_list("source_id", "entity_ref"))
    for key in shown.keys() - kept.keys():
        yield f"{key[1]} is kept here, and its text is not"
    for key in kept.keys() - shown.keys() - waiting:
        yield f"the text of {key[1]} is kept, and nothing is made of it"
    for key in shown.keys() & kept.keys():
        if _said(shown[key].document.text) != _said(kept[key]):
            yield f"{key[1]} says otherwise than its kept text"


def _said(text: str) -> dict[str, Any]:
    """A text without what the catalog fills in."""
    written = as_written(orjson.loads(text))
    return {**written, "metadata": {"namespace": "default", **written["metadata"]}}


def operations() -> Iterator[str]:
    """Each item of a bulk operation is over, and wrote the one version that it names, or none."""
    for operation in BulkOperation.objects.unrestricted(REASON).filter(state=BulkOperation.State.RUNNING):
        yield f"the operation {operation.pk} never ended"
    versions = set(Revision.objects.unrestricted(REASON).values_list("uid", "number"))
    versions |= set(Entity.objects.unrestricted(REASON).values_list("uid", "revision"))
    wrote: Counter[tuple[object, int | None]] = Counter()
    for item in BulkItem.objects.unrestricted(REASON).select_related("operation"):
        if item.outcome == BulkItem.Outcome.PENDING:
            yield f"{item} of the operation {item.operation_id} still waits"
        if item.effect in _VERSIONS:
            wrote[item.subject, item.after_number] += 1
            if (item.subject, item.after_number) not in versions:
                yield f"{item} wrote version {item.after_number}, which is not there"
        if item.effect == BulkItem.Effect.CHANGED and item.after_number != (item.before_number or 0) + 1:
            yield f"{item} made version {item.after_number} of version {item.before_number}"
    for (subject, number), times in wrote.items():
        if times > 1:
            yield f"version {number} of {subject} was written by {times} items"


def answers() -> Iterator[str]:
    """No request is under way any more."""
    rows = IdempotentAnswer.objects.unrestricted(REASON).filter(status=None)
    for row in rows:
        yield f"the request {row} of {row.created_at} was never answered, at {timezone.now()}"


def deliveries() -> Iterator[str]:
    """Every webhook is on and has what it was to be sent, each event under one id."""
    for subscription in Subscription.objects.unrestricted(REASON).filter(enabled=False):
        yield f"the webhook {subscription} was switched off: {subscription.reason}"
    rows = Delivery.objects.unrestricted(REASON)
    for delivery in rows.exclude(state=Delivery.State.DELIVERED):
        yield f"{delivery} is {delivery.state} after {delivery.attempts} tries: {delivery.error}"
    positions = Counter(rows.values_list("subscription", "position"))
    for (_, position), times in positions.items():
        if times > 1:
            yield f"the event at {position} has {times} deliveries to one webhook"
