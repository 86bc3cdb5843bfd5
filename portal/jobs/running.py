"""Doing a job: claim, heartbeat, fenced writes, outcome."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from uuid import UUID

import structlog
from django.db import Error as DatabaseFailure
from django.db import OperationalError, close_old_connections, connection, transaction
from prometheus_client import Counter, Histogram

from portal.access.viewer import Viewer
from portal.core.context import request_id
from portal.core.errors import CallboardError, ServiceUnavailableError, TimedOutError
from portal.core.outages import outage_of
from portal.jobs import services
from portal.jobs.models import Job
from portal.jobs.registry import job_kind

T = TypeVar("T")
log = structlog.get_logger(__name__)
LEASE_SECONDS = services.LEASE.total_seconds()
BEAT_SECONDS = LEASE_SECONDS / 6
CANCEL_SECONDS = 1.0
REPORT_SECONDS = 0.5
_outcomes = Counter("callboard_job_outcomes", "What jobs came to, by kind.", ["kind", "outcome"])
_seconds = Histogram(
    "callboard_job_seconds",
    "Time one try of a job took.",
    ["kind"],
    buckets=(0.05, 0.25, 1, 5, 15, 60, 300, 1800),
)


class LostLeaseError(CallboardError):
    """Another worker has this job now; whatever this one was about to write must not be written."""

    default_code = "jobs.lease_lost"


class JobCancelledError(CallboardError):
    """Somebody cancelled the job."""

    default_code = "jobs.cancelled"


class JobContext:
    """What a handler sees of its job.

    Attributes:
        job: the row as it was claimed.
        viewer: the system, acting for whoever queued the job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.payload = job.payload
        self.viewer = Viewer(actor=job.actor, name=job.actor, is_staff=True, is_system=True)
        self._lost = threading.Event()
        self._cancelled = threading.Event()
        self._reported = 0.0
        if job.cancel_requested:  # while a worker before this one had it
            self._cancelled.set()

    def checkpoint(self) -> None:
        """Call between steps. Raises LostLeaseError or JobCancelledError."""
        if self._lost.is_set():
            raise LostLeaseError(f"The job {self.job.pk} belongs to another worker now.")
        if self._cancelled.is_set():
            raise JobCancelledError(f"The job {self.job.pk} was cancelled.")

    def stopped(self) -> bool:
        """For reads that poll a flag: whether to give up now."""
        return self._lost.is_set() or self._cancelled.is_set()

    def progress(self, done: int, total: int, text: str = "", *, now: bool = False) -> None:
        """Say how far it is; written at most twice a second.

        Raises:
            LostLeaseError, JobCancelledError: as ``checkpoint``.
        """
        self.checkpoint()
        if now or time.monotonic() - self._reported > REPORT_SECONDS:
            self._reported = time.monotonic()
            self._must_own(services.report(job=self.job, done=done, total=total, text=text))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction that commits only while this worker holds the job.

        The fence is checked inside, and the row of the job stays locked until the end: nobody can take it over between
        check and commit. Keep it shorter than a third of the lease.
        """
        self.checkpoint()
        with ExitStack() as stack:
            if connection.in_atomic_block:
                stack.enter_context(transaction.atomic())
            else:
                _patiently(lambda: stack.enter_context(transaction.atomic()), before=self.checkpoint)
            self._must_own(services.beat(job=self.job))
            yield

    def _must_own(self, still: bool) -> None:
        if not still:
            self._lost.set()
            self.checkpoint()

    def _beat(self, over: threading.Event) -> None:
        """Runs beside the handler: keeps the lease in long steps, hears of a cancellation within about a second."""
        kept = time.monotonic()
        try:
            while not over.wait(CANCEL_SECONDS):
                try:
                    if not self._cancelled.is_set() and services.is_cancelled(job=self.job):
                        self._cancelled.set()
                    if time.monotonic() - kept < BEAT_SECONDS:
                        continue
                    if not services.beat(job=self.job):
                        self._lost.set()
                        return
                    kept = time.monotonic()
                except DatabaseFailure:
                    # A database that is locked or restarts: go on trying for as long as the lease would have held.
                    log.warning("job_heartbeat_missed", job=str(self.job.pk), exc_info=True)
                    connection.close()
                    if time.monotonic() - kept > LEASE_SECONDS:
                        self._lost.set()
                        return
        finally:
            connection.close()


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident() % 100_000}"[-100:]


def _refresh_connection() -> None:
    """Drop connections that are too old or broken, but never the one of a caller who is inside a transaction."""
    if not connection.in_atomic_block:
        close_old_connections()


def run_job(job_id: UUID | str) -> str | None:
    """Claim and do one job.

    Returns:
        Its state afterwards, or None where there was nothing to claim, or where another worker has it by now.
    """
    _refresh_connection()
    job = services.claim(job_id=job_id, worker=worker_name())
    if job is None:
        return None
    context, over = JobContext(job), threading.Event()
    token = request_id.set(job.request_id or str(job.pk))
    heartbeat = threading.Thread(target=context._beat, args=(over,), daemon=True, name=f"beat-{job.pk}")
    heartbeat.start()
    started = time.monotonic()
    state: str | None = None
    try:
        state = _do(context)
        return state
    finally:
        over.set()
        heartbeat.join(timeout=2)
        seconds = time.monotonic() - started
        _outcomes.labels(job.kind, state or "lost").inc()
        _seconds.labels(job.kind).observe(seconds)
        log.info(
            "job_done",
            job=str(job.pk),
            kind=job.kind,
            state=state,
            attempt=job.attempts,
            seconds=round(seconds, 3),
        )
        request_id.reset(token)
        _refresh_connection()


def _do(context: JobContext) -> str | None:
    job = context.job
    try:
        context.checkpoint()
        result = job_kind(job.kind).handler(context)
    except LostLeaseError:
        return None
    except JobCancelledError:
        return _end(job, Job.State.CANCELLED)
    except CallboardError as error:
        body = {"code": error.code, "message": error.message, "remedy": error.remedy}
        return _end_or_again(job, body, passing=isinstance(error, ServiceUnavailableError | TimedOutError))
    except Exception as error:
        if (outage := outage_of(error)) is not None:
            return _wait_out(job, outage)
        # A defect in a handler ends this job with a record of it, and leaves the worker alive for the next one.
        log.exception("job_failed", job=str(job.pk), kind=job.kind)
        body = {
            "code": "jobs.defect",
            "message": f"{type(error).__name__}: {error}"[:500],
            "remedy": f"Look for request {request_id.get()} in the worker's log.",
        }
        # A database that was locked or restarted in the middle is no defect: the job may well succeed the next time.
        return _end_or_again(job, body, passing=isinstance(error, OperationalError))
    return _end(job, Job.State.SUCCEEDED, result=result)


def _end_or_again(job: Job, body: dict[str, str], *, passing: bool) -> str | None:
    if passing and job.attempts < job_kind(job.kind).tries:
        again = _patiently(lambda: services.put_back(job=job, error=body))
        return Job.State.QUEUED if again else None
    return _end(job, Job.State.FAILED, error=body)


def _wait_out(job: Job, outage: ServiceUnavailableError) -> str | None:
    """Our own database or disk failed it: that is no try, however long it lasts."""
    log.warning("job_waits_for_outage", job=str(job.pk), kind=job.kind, code=outage.code)
    body = {"code": outage.code, "message": outage.message, "remedy": outage.remedy}
    again = _patiently(lambda: services.put_back(job=job, error=body, counts=False))
    return Job.State.QUEUED if again else None


def _end(job: Job, state: str, **values: Any) -> str | None:
    """Write the outcome; None where the job belongs to another worker by now."""
    return state if _patiently(lambda: services.finish(job=job, state=state, **values)) else None


def _patiently(write: Callable[[], T], *, before: Callable[[], None] | None = None) -> T:
    """Try for as long as a lease lasts: work that is done must not be lost, and so done again, because the database is
    locked or away for a while. The heartbeat keeps the lease meanwhile."""
    deadline = time.monotonic() + LEASE_SECONDS
    while True:
        try:
            return write()
        except OperationalError:
            if connection.in_atomic_block or time.monotonic() > deadline:
                raise
            log.warning("job_waits_for_database", exc_info=True)
            connection.close()
            time.sleep(0.5)
            if before is not None:
                before()
