"""Reads of jobs that pages and API share."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q

from portal.access.viewer import VIEW, Viewer
from portal.core.errors import NotFoundError
from portal.jobs.models import Job


def started_by_or_staff(viewer: Viewer, action: str) -> Q | None:
    """Policy of jobs: staff sees and does all, everybody else sees what they started, in person or by a token."""
    if not viewer.allows(action):
        return None
    if viewer.is_staff:
        return Q()
    person = viewer.actor.partition(" (token ")[0]
    if viewer.user_id is None or action != VIEW:
        return None
    return Q(actor=person) | Q(actor__startswith=f"{person} (token ")


def job_by_id(viewer: Viewer, id: UUID | str, action: str = VIEW) -> Job:
    """A job.

    Raises:
        NotFoundError: there is none that the viewer may see, also for an id that is no UUID.
    """
    try:
        key = id if isinstance(id, UUID) else UUID(id)
    except ValueError:
        raise NotFoundError(f"There is no job {str(id)[:60]}.", code="jobs.not-found") from None
    job = Job.objects.visible_to(viewer, action).filter(pk=key).first()
    if job is None:
        raise NotFoundError(
            f"There is no job {key}.",
            code="jobs.not-found",
            remedy="Jobs are kept for 30 days after their end.",
        )
    return job
