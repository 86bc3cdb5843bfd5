"""How readings of sources end: counted once each, told when a source begins to fail and when it is well again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Sum

from catalog.ingest.outages import is_outage
from catalog.models import Source, Sync, SyncCount
from catalog.query.reliability import FAILING_AFTER
from portal.core.errors import CallboardError
from portal.core.process import CancelledError
from portal.events.services import publish as publish_events
from portal.jobs.running import JobCancelledError, LostLeaseError

REASON = "readings are counted whoever may see them"
KEPT_DAYS = 400
#: Stands for all days before those that are kept.
EVER = date(1970, 1, 1)
ABANDONED = "Its worker stopped before the end; it was read again."


def outcome_of(error: BaseException) -> str:
    """How a reading counts that ended with ``error``."""
    if isinstance(error, LostLeaseError | JobCancelledError | CancelledError) or not isinstance(
        error, Exception
    ):
        return Sync.Outcome.INTERRUPTED
    passing = isinstance(error, CallboardError) and is_outage(error)
    return Sync.Outcome.OUTAGE if passing else Sync.Outcome.FAILED


def note_outcome(*, source: Source, outcome: str, error: str, now: datetime) -> None:
    """Count a reading, in the transaction that closes its record. Whoever closed it calls this, nobody else."""
    _count(source, outcome, now.astimezone(UTC).date())
    rows = Source.objects.unrestricted(REASON).filter(pk=source.pk)
    if outcome == Sync.Outcome.INTERRUPTED:
        return
    if outcome == Sync.Outcome.SUCCESS:
        since = rows.values_list("failing_since", flat=True).first()
        if rows.filter(failures__gte=FAILING_AFTER).update(failures=0, failing_since=None):
            _tell("catalog.source.recovered", source, {"failing_since": since and since.isoformat()})
        else:
            rows.filter(failures__gt=0).update(failures=0, failing_since=None)
        return
    rows.filter(failures=0).update(failing_since=now)
    rows.update(failures=F("failures") + 1)
    if rows.filter(failures=FAILING_AFTER).exists():
        _tell("catalog.source.failing", source, {"failures": FAILING_AFTER, "class": outcome, "error": error})


def close_abandoned(*, source: Source, now: datetime) -> int:
    """Close readings whose worker died. For whoever has the turn of the source: nobody else reads it now."""
    dead = Sync.objects.unrestricted(REASON).filter(source=source, state=Sync.State.RUNNING)
    closed = 0
    for pk in dead.values_list("pk", flat=True):
        with transaction.atomic():
            if dead.filter(pk=pk).update(
                state=Sync.State.FAILED, outcome=Sync.Outcome.INTERRUPTED, finished_at=now, error=ABANDONED
            ):
                note_outcome(source=source, outcome=Sync.Outcome.INTERRUPTED, error=ABANDONED, now=now)
                closed += 1
    return closed


def _count(source: Source, outcome: str, day: date) -> None:
    rows = SyncCount.objects.unrestricted(REASON).filter(source=source, outcome=outcome)
    if rows.filter(day=day).update(count=F("count") + 1):
        return
    try:
        with transaction.atomic():
            SyncCount.objects.create(source=source, outcome=outcome, day=day, count=1)
    except IntegrityError:
        rows.filter(day=day).update(count=F("count") + 1)
    _fold(source, outcome, day - timedelta(days=KEPT_DAYS))


def _fold(source: Source, outcome: str, before: date) -> None:
    """Add days that nobody looks at any more to the sum of all of them; once a day, in the same transaction."""
    rows = SyncCount.objects.unrestricted(REASON).filter(source=source, outcome=outcome)
    old = rows.filter(day__lt=before, day__gt=EVER)
    more = old.aggregate(n=Sum("count"))["n"]
    if more:
        old.delete()
        if not rows.filter(day=EVER).update(count=F("count") + more):
            SyncCount.objects.create(source=source, outcome=outcome, day=EVER, count=more)


def _tell(kind: str, source: Source, data: dict[str, object]) -> None:
    publish_events(events=[(kind, source.name, {"source": str(source.pk), **data})])
