"""Doing a job: claim, heartbeat, fenced writes, outcome."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import close_old_connections, connection, transaction

from portal.access.viewer import Viewer
from portal.core.context import request_id
from portal.core.errors import CallboardError, ServiceUnavailableError, TimedOutError
from portal.jobs import services
from portal.jobs.models import Job
from portal.jobs.registry import job_kind

log = structlog.get_logger(__name__)
BEAT_SECONDS = services.LEASE.total_seconds() / 6
REPORT_SECONDS = 0.5


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
        """Say how far it is; written at most twice a second."""
        self.checkpoint()
        if now or time.monotonic() - self._reported > REPORT_SECONDS:
            self._reported = time.monotonic()
            if not services.report(job=self.job, done=done, total=total, text=text):
                self._lost.set()
                self.checkpoint()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction that commits only while this worker holds the job (the fence is checked inside)."""
        self.checkpoint()
        with transaction.atomic():
            if not services.beat(job=self.job):
                self._lost.set()
                self.checkpoint()
            yield

    def _beat(self, over: threading.Event) -> None:
        """Runs beside the handler, so that a long step without progress keeps the lease."""
        try:
            while not over.wait(BEAT_SECONDS if not self._cancelled.is_set() else BEAT_SECONDS * 2):
                if not services.beat(job=self.job):
                    self._lost.set()
                    return
                if services.is_cancelled(job=self.job):
                    self._cancelled.set()
        except Exception:
            # The handler finds out by its next fenced write; a broken heartbeat must not end it by itself.
            log.exception("job_heartbeat_failed", job=str(self.job.pk))
        finally:
            connection.close()


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident() % 100_000}"


def run_job(job_id: object) -> str | None:
    """Claim and do one job.

    Returns:
        Its state afterwards, or None where there was nothing to claim.
    """
    close_old_connections()
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
        log.info("job_done", job=str(job.pk), kind=job.kind, state=state, seconds=round(time.monotonic() - started, 3))
        request_id.reset(token)
        close_old_connections()


def _do(context: JobContext) -> str | None:
    job = context.job
    try:
        kind = job_kind(job.kind)
        result = kind.handler(context)
    except LostLeaseError:
        return None
    except JobCancelledError:
        services.finish(job=job, state=Job.State.CANCELLED)
        return Job.State.CANCELLED
    except CallboardError as error:
        body = {"code": error.code, "message": error.message, "remedy": error.remedy}
        if isinstance(error, ServiceUnavailableError | TimedOutError) and job.attempts < kind.tries:
            services.put_back(job=job, error=body)
            return Job.State.QUEUED
        services.finish(job=job, state=Job.State.FAILED, error=body)
        return Job.State.FAILED
    except Exception as error:
        # A defect in a handler ends this job with a record of it, and leaves the worker alive for the next one.
        log.exception("job_failed", job=str(job.pk), kind=job.kind)
        body = {
            "code": "jobs.defect",
            "message": f"{type(error).__name__}: {error}"[:500],
            "remedy": f"Look for request {request_id.get()} in the worker's log.",
        }
        services.finish(job=job, state=Job.State.FAILED, error=body)
        return Job.State.FAILED
    services.finish(job=job, state=Job.State.SUCCEEDED, result=result)
    return Job.State.SUCCEEDED
