"""Reading again from the page of an entity or a source; the page then shows what comes of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from catalog.actions import REFRESH
from catalog.models import Source
from catalog.presenters.refs import entity_url
from catalog.refs import canonical
from catalog.selectors import entity_by_ref
from catalog.services.refreshing import refresh_entity, refresh_source
from catalog.views.viewing import viewer_of
from portal.access.viewer import CURATE, Viewer
from portal.core.errors import ConflictError, NotAllowedError, NotFoundError
from portal.jobs.models import Job
from portal.jobs.outcomes import JobView, job_view


def shown_job(request: HttpRequest, viewer: Viewer) -> JobView | None:
    """The job that a page was asked to follow (``?job=ID``), as far as the viewer may see it. At most two statements,
    none without the parameter."""
    try:
        key = uuid.UUID(request.GET.get("job", ""))
    except ValueError:
        return None
    job = Job.objects.visible_to(viewer).filter(pk=key).first()
    return None if job is None else job_view(viewer, job)


def _ask(request: HttpRequest, page: str, refresh: Callable[[], Job]) -> HttpResponse:
    try:
        job = refresh()
    except ConflictError as error:
        messages.error(request, f"{error.message} {error.remedy}")
        return HttpResponseRedirect(page)
    return HttpResponseRedirect(f"{page}?{urlencode({'job': str(job.pk)})}")


def _curator(request: HttpRequest) -> Viewer:
    viewer = viewer_of(request)
    if not viewer.allows(CURATE):
        raise NotAllowedError("Reading a source now is for people who curate the catalog.")
    return viewer


@require_POST
def entity(request: HttpRequest, namespace: str, kind: str, name: str) -> HttpResponse:
    """Read the source of an entity again."""
    viewer = viewer_of(request)
    try:
        found = entity_by_ref(viewer, canonical(kind, namespace, name), REFRESH)
    except NotFoundError as error:
        raise Http404(error.message) from error
    return _ask(request, entity_url(found.ref), lambda: refresh_entity(actor=viewer, entity=found))


@require_POST
def source(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Read a source again."""
    viewer = _curator(request)
    found = Source.objects.visible_to(viewer, CURATE).filter(pk=key).first()
    if found is None:
        raise Http404("There is no such source.")
    page = reverse("catalog:source", args=[found.pk])
    return _ask(request, page, lambda: refresh_source(actor=viewer, source=found))
