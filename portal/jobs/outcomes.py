"""What a job means to people. The app that owns a kind of job says it; without that its own words serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.urls import reverse

from portal.access.viewer import CURATE, Viewer
from portal.jobs.models import Job

_WORDS = {
    Job.State.QUEUED: ("wait", "Waiting for a worker."),
    Job.State.RUNNING: ("run", "Running."),
    Job.State.SUCCEEDED: ("ok", "Done."),
    Job.State.FAILED: ("bad", "Failed."),
    Job.State.CANCELLED: ("idle", "Cancelled."),
}


@dataclass(frozen=True, slots=True)
class Link:
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Described:
    """What the owner of a kind of job says about one.

    Attributes:
        title: what is done, such as "Read team-a".
        level, outcome: state and words once it is over; empty for the usual ones.
        detail: a second, quieter sentence.
        links: where to look next.
    """

    title: str
    level: str = ""
    outcome: str = ""
    detail: str = ""
    links: tuple[Link, ...] = ()


Describe = Callable[[Viewer, Job], Described]
_describers: dict[str, Describe] = {}


def describe_jobs(kind: str, describe: Describe) -> None:
    """Let ``describe`` find the words for jobs of this kind. It reads as the viewer, in at most two statements."""
    _describers[kind] = describe


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as pages show it. ``total`` is 0 where progress is not known; ``cancel_url`` empty where not allowed."""

    id: str
    title: str
    state_title: str
    level: str
    outcome: str
    detail: str
    remedy: str
    is_over: bool
    progress_text: str
    done: int
    total: int
    actor: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None
    attempts: int
    url: str
    state_url: str
    cancel_url: str
    admin_url: str
    links: tuple[Link, ...] = field(default=())


def job_view(viewer: Viewer, job: Job) -> JobView:
    """A job with its words, for a viewer who may see it."""
    describe = _describers.get(job.kind)
    described = (
        describe(viewer, job) if describe is not None else Described(f"{job.kind} {job.subject}".strip())
    )
    level, outcome = _WORDS[Job.State(job.state)]
    error = job.error or {}
    detail = described.detail
    if job.state == Job.State.FAILED:
        detail = str(error.get("message", ""))
    elif job.state == Job.State.QUEUED and job.attempts:
        outcome, detail = "Tried again in a while.", str(error.get("message", ""))
    elif job.state == Job.State.RUNNING and job.cancel_requested:
        outcome = "Stops at its next step."
    elif job.state == Job.State.SUCCEEDED:
        level, outcome = described.level or level, described.outcome or outcome
    state_title = job.get_state_display()
    if job.state == Job.State.SUCCEEDED and level != "ok":
        state_title = "Finished"  # the job did its work; what it found is not well
    ended = job.finished_at
    return JobView(
        id=str(job.pk),
        title=described.title,
        state_title=state_title,
        level=level,
        outcome=outcome,
        detail=detail,
        remedy=str(error.get("remedy", "")) if job.state == Job.State.FAILED else "",
        is_over=job.is_over,
        progress_text=job.progress_text,
        done=job.progress_done,
        total=job.progress_total if job.state == Job.State.RUNNING else 0,
        actor=job.actor.partition(":")[2] or job.actor,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=ended,
        seconds=(ended - job.started_at).total_seconds() if ended and job.started_at else None,
        attempts=job.attempts,
        url=reverse("jobs:job", args=[job.pk]),
        state_url=reverse("jobs:state", args=[job.pk]),
        cancel_url=""
        if job.is_over or job.cancel_requested or not viewer.allows(CURATE)
        else reverse("jobs:cancel", args=[job.pk]),
        admin_url=reverse("admin:jobs_job_change", args=[job.pk]) if viewer.is_staff else "",
        links=described.links,
    )
