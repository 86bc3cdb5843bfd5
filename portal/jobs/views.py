"""The page of one job: how far it is, what came of it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from portal.access.viewer import CURATE, Viewer
from portal.core.errors import ConflictError, NotAllowedError
from portal.jobs.outcomes import job_view
from portal.jobs.selectors import job_by_id
from portal.jobs.services import cancel


def _viewer(request: HttpRequest) -> Viewer:
    viewer: Viewer = request.viewer  # type: ignore[attr-defined]  # set by AccessMiddleware
    return viewer


@require_safe
def job(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """One job, for those who may see it."""
    viewer = _viewer(request)
    return render(request, "jobs/job.html", {"job": job_view(viewer, job_by_id(viewer, key))})


@require_safe
def state(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """The banner alone, for the script that asks every second. When it is over, the page around it loads anew."""
    viewer = _viewer(request)
    shown = job_view(viewer, job_by_id(viewer, key))
    response = render(request, "jobs/state.html", {"job": shown})
    if shown.is_over:
        response["HX-Refresh"] = "true"
    return response


@require_POST
def cancel_job(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Stop it. For those who curate."""
    viewer = _viewer(request)
    if not viewer.allows(CURATE):
        raise NotAllowedError("Cancelling a job is for people who curate.")
    stopped = job_by_id(viewer, key, CURATE)
    try:
        cancel(actor=viewer, job=stopped)
    except ConflictError as error:
        messages.error(request, error.message)
    return HttpResponseRedirect(reverse("jobs:job", args=[stopped.pk]))
