"""Every move of a job, each by compare-and-set with a row count."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import DateTimeField, F, Q, Value
from django.db.models.functions import Least
from django.utils import timezone

from portal.access.viewer import Viewer
from portal.audit.services import record
from portal.core.context import request_id
from portal.core.errors import ConflictError, InputError
from portal.jobs import doorbell
from portal.jobs.models import Job, Schedule
from portal.jobs.registry import job_kind, tries_of

log = structlog.get_logger(__name__)
LEASE = timedelta(seconds=settings.CALLBOARD_JOB_LEASE)
RING_AGAIN = timedelta(seconds=5)
KEPT = timedelta(days=30)
COALESCE_TRIES = 5
SCHEDULED = "schedules belong to the system"


def enqueue(
    *,
    actor: Viewer,
    kind: str,
    payload: Mapping[str, Any] | None = None,
    subject: str = "",
    key: str = "",
    run_after: datetime | None = None,
) -> Job:
    """Write a job in the caller's transaction and ring once that is committed.

    With ``key``, a job that waits already is returned instead, brought forward where it was to run later. It stays
    unclaimed until the caller's transaction ends, so it will read what the caller has written.
    """
    when = run_after or timezone.now()
    for _ in range(COALESCE_TRIES if key else 1):
        if key and (waiting := _hold_waiting(key, when)) is not None:
            job = waiting
            break
        job = Job(
            kind=kind,
            subject=subject[:200],
            payload=dict(payload or {}),
            key=key,
            actor=actor.actor[:200],
            request_id=request_id.get(),
            run_after=when,
        )
        try:
            with transaction.atomic():
                job.save(force_insert=True)
        except IntegrityError:
            if not key:
                raise
        else:
            break
    else:
        raise ConflictError(
            f"The job {kind} could not be queued: others with its key came and went.", code="jobs.key"
        )
    if job.run_after <= timezone.now():
        transaction.on_commit(lambda: _ring(job))
    return job


def _hold_waiting(key: str, when: datetime) -> Job | None:
    """The job that waits under a key, its row locked until the transaction ends; None where there is none."""
    waiting = Job.objects.filter(key=key, state=Job.State.QUEUED)
    if not waiting.update(run_after=Least(F("run_after"), Value(when, DateTimeField()))):
        return None
    return waiting.unrestricted("the waiting job of a key").first()


def _ring(job: Job) -> None:
    """Runs after the commit: whatever fails here must not look as if the write had failed. The sweeper rings again."""
    try:
        if doorbell.ring(job.pk):
            Job.objects.filter(pk=job.pk, state=Job.State.QUEUED).update(rung_at=timezone.now())
    except DatabaseError as error:
        log.warning("ring_not_noted", job=str(job.pk), error=str(error))


def claim(*, job_id: UUID | str, worker: str) -> Job | None:
    """Take a queued job. None where somebody else has it or it is over."""
    now = timezone.now()
    taken = Job.objects.filter(pk=job_id, state=Job.State.QUEUED, run_after__lte=now).update(
        state=Job.State.RUNNING,
        fence=F("fence") + 1,
        attempts=F("attempts") + 1,
        lease_until=now + LEASE,
        started_at=now,
        worker=worker,
    )
    if not taken:
        return None
    return Job.objects.unrestricted("the worker's own job").get(pk=job_id)


def beat(*, job: Job) -> bool:
    """Extend the lease. False where the job is no longer this worker's."""
    return bool(_own(job).update(lease_until=timezone.now() + LEASE))


def is_cancelled(*, job: Job) -> bool:
    return Job.objects.unrestricted("the worker's own job").filter(pk=job.pk, cancel_requested=True).exists()


def report(*, job: Job, done: int, total: int, text: str) -> bool:
    """Write progress, which extends the lease as well."""
    return bool(
        _own(job).update(
            progress_done=done,
            progress_total=total,
            progress_text=text[:200],
            lease_until=timezone.now() + LEASE,
        )
    )


def hold_job(*, job_id: UUID) -> None:
    """Keep a job from writing until the caller's transaction ends; waits for the transaction that it is in."""
    Job.objects.unrestricted("the job that is about to write").select_for_update().filter(pk=job_id).first()


def finish(
    *, job: Job, state: str, result: Mapping[str, Any] | None = None, error: Mapping[str, Any] | None = None
) -> bool:
    """End a job this worker still holds."""
    return bool(
        _own(job).update(
            state=state,
            finished_at=timezone.now(),
            lease_until=None,
            result=None if result is None else dict(result),
            error=None if error is None else dict(error),
        )
    )


def put_back(*, job: Job, error: Mapping[str, Any], counts: bool = True) -> bool:
    """Queue a job again after a passing error, later each time.

    Args:
        counts: whether it was one of its tries; where not, it comes back after its shortest wait.
    """
    kind = job_kind(job.kind)
    wait = timedelta(seconds=kind.retry_seconds * (2 ** min(job.attempts - 1, 8) if counts else 1))
    return bool(
        _own(job).update(
            attempts=F("attempts") - (0 if counts else 1),
            state=Job.State.QUEUED,
            lease_until=None,
            run_after=timezone.now() + wait,
            rung_at=None,
            error=dict(error),
            key="",
        )
    )


def _own(job: Job) -> Any:
    return Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, fence=job.fence)


@transaction.atomic
def cancel(*, actor: Viewer, job: Job) -> None:
    """Stop a job: at once where it waits, within seconds at its next checkpoint where it runs.

    Raises:
        ConflictError: it is over.
    """
    now = timezone.now()
    waiting = Job.objects.filter(pk=job.pk, state=Job.State.QUEUED)
    if not waiting.update(state=Job.State.CANCELLED, finished_at=now):
        running = Job.objects.filter(pk=job.pk, state=Job.State.RUNNING)
        if not running.update(cancel_requested=True):
            raise ConflictError("This job is over already.", code="jobs.over")
    record(actor=actor.actor, verb="jobs.job.cancelled", target=job)


def sweep() -> dict[str, int]:
    """Repair what died: ring for lost doorbells, queue jobs whose worker is gone. One statement where all is well.

    Returns:
        Counts: rung, requeued, given_up.
    """
    now = timezone.now()
    counts = {"rung": 0, "requeued": 0, "given_up": 0}
    unheard = Q(rung_at__isnull=True, created_at__lt=now - timedelta(seconds=1)) | Q(
        rung_at__lt=now - RING_AGAIN
    )
    dead = Q(state=Job.State.RUNNING, lease_until__lt=now)
    waiting = Q(state=Job.State.QUEUED, run_after__lte=now) & unheard
    rows = Job.objects.unrestricted("the sweeper looks after all jobs").filter(dead | waiting)
    for job in rows.order_by("run_after")[:400]:
        if job.state == Job.State.RUNNING:
            outcome = _take_back(job, now)
            if outcome:
                counts[outcome] += 1
            if outcome == "requeued" and doorbell.ring(job.pk):
                Job.objects.filter(pk=job.pk, state=Job.State.QUEUED, rung_at=None).update(rung_at=now)
                counts["rung"] += 1
            continue
        # Ever longer pauses: where all workers are busy for an hour, messages must not pile up by the thousand.
        if job.rung_at is not None and now - job.rung_at < job.rung_at - job.run_after:
            continue
        mine = Job.objects.filter(pk=job.pk, state=Job.State.QUEUED, rung_at=job.rung_at).update(rung_at=now)
        if mine and doorbell.ring(job.pk):
            counts["rung"] += 1
    return counts


def _take_back(job: Job, now: datetime) -> str:
    """End or queue a job whose lease ran out; says which, or nothing where somebody else was first."""
    same = Job.objects.filter(
        pk=job.pk, state=Job.State.RUNNING, fence=job.fence, lease_until=job.lease_until
    )
    if job.cancel_requested:
        over = same.update(state=Job.State.CANCELLED, finished_at=now, lease_until=None)
        return "given_up" if over else ""
    if job.attempts >= tries_of(job.kind):
        error = {
            "code": "jobs.worker_lost",
            "message": f"Its worker was gone {job.attempts} times before it could finish.",
            "remedy": "Look at the worker's log around these times, then start the job again.",
        }
        over = same.update(state=Job.State.FAILED, finished_at=now, lease_until=None, error=error)
        return "given_up" if over else ""
    # The key is given up: a newer job of the same key may be waiting.
    again = same.update(state=Job.State.QUEUED, lease_until=None, rung_at=None, run_after=now, key="")
    return "requeued" if again else ""


def forget_old_jobs() -> int:
    """Delete finished jobs after the time they are kept. Returns how many."""
    return (
        Job.objects.unrestricted("old jobs of everybody")
        .filter(finished_at__lt=timezone.now() - KEPT)
        .delete()[0]
    )


@transaction.atomic
def set_schedule(
    *,
    actor: Viewer,
    name: str,
    kind: str,
    payload: Mapping[str, Any],
    every: int,
    jitter: int = 0,
    subject: str = "",
    enabled: bool = True,
) -> Schedule:
    """Create or change the schedule ``name``; its first run is spread over the first interval.

    Args:
        every: seconds between two runs, at least 1.
        jitter: up to this many seconds more, at random.

    Raises:
        InputError: not at least a second.
    """
    if every < 1 or jitter < 0:
        raise InputError(
            "A schedule runs every second at most.", code="jobs.schedule.every", remedy="Give it longer."
        )
    values = {
        "kind": kind,
        "payload": dict(payload),
        "every": every,
        "jitter": jitter,
        "subject": subject[:200],
        "enabled": enabled,
    }
    stored = Schedule.objects.unrestricted(SCHEDULED).filter(name=name).first()
    if stored is None:
        first = timezone.now() + timedelta(seconds=random.uniform(0.2, 1.0) * every)  # noqa: S311  (spreads load, no secret)
        stored = Schedule.objects.create(name=name, next_run_at=first, **values)
        record(actor=actor.actor, verb="jobs.schedule.created", target=stored, after=values)
        return stored
    before = {
        field: getattr(stored, field) for field, value in values.items() if getattr(stored, field) != value
    }
    if before:
        # A shorter interval counts from now on, not only after the long one is over.
        soonest = min(stored.next_run_at, timezone.now() + timedelta(seconds=every))
        Schedule.objects.filter(pk=stored.pk).update(next_run_at=soonest, **values)
        after = {field: values[field] for field in before}
        record(actor=actor.actor, verb="jobs.schedule.changed", target=stored, before=before, after=after)
        stored = Schedule.objects.unrestricted(SCHEDULED).get(pk=stored.pk)
    return stored


@transaction.atomic
def remove_schedule(*, name: str, actor: Viewer | None = None) -> None:
    """End a schedule; a job that it queued already still runs. ``actor`` is the system where nobody is named."""
    stored = Schedule.objects.unrestricted(SCHEDULED).filter(name=name).first()
    if (
        stored is not None
        and Schedule.objects.unrestricted("the row just read").filter(pk=stored.pk).delete()[0]
    ):
        by = (actor or Viewer.system("schedules")).actor
        record(
            actor=by,
            verb="jobs.schedule.removed",
            target=stored,
            before={"kind": stored.kind, "every": stored.every},
        )


def tick() -> int:
    """Queue what is due. Safe in several processes: the next time is set by compare-and-set. Returns how many."""
    now = timezone.now()
    queued = 0
    due = Schedule.objects.unrestricted(SCHEDULED).filter(enabled=True, next_run_at__lte=now)
    for row in due.order_by("next_run_at")[:200]:
        wait = row.every + (random.uniform(0, row.jitter) if row.jitter else 0)  # noqa: S311  (spreads load, no secret)
        with transaction.atomic():
            mine = Schedule.objects.filter(pk=row.pk, next_run_at=row.next_run_at).update(
                next_run_at=now + timedelta(seconds=wait), last_run_at=now
            )
            if mine:
                actor = Viewer.system("scheduler")
                enqueue(
                    actor=actor,
                    kind=row.kind,
                    payload=row.payload,
                    subject=row.subject,
                    key=f"schedule:{row.name}",
                )
                queued += 1
    return queued
