"""The pages people meet when something is not there, not theirs, not right, or broken."""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template import loader

from catalog.views.close_names import close_names
from portal.access.api.errors import error_body
from portal.access.api.renderers import json_response
from portal.access.viewer import ANONYMOUS, Viewer
from portal.core import errors
from portal.core.context import request_id
from portal.core.outages import RETRY_AFTER, outage_of
from portal.web.context import theme_of


def wants_json(request: HttpRequest) -> bool:
    """Whether the answer goes to a program: everything below /api/ except its browsable pages."""
    return request.path.startswith("/api/") and not request.path.startswith("/api/docs")


def _json(request: HttpRequest, error: errors.CallboardError) -> HttpResponse:
    return json_response(
        error_body(error, method=request.method or "GET", url=request.get_full_path()), status=error.status
    )


def _viewer(request: HttpRequest) -> Viewer:
    """The viewer, also when the request broke before anybody was known."""
    viewer: Viewer = getattr(request, "viewer", ANONYMOUS)
    return viewer


def _page(request: HttpRequest, status: HTTPStatus, context: dict[str, Any]) -> HttpResponse:
    """An error page: inside the shell for people who are signed in, at the door for everyone else."""
    name = "errors/shell.html" if _viewer(request).is_signed_in else "errors/door.html"
    page = loader.get_template(name).render(
        {"status": status, "problem_id": request_id.get(), **context}, request
    )
    return HttpResponse(page, status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400: the address or the form does not fit."""
    error = (
        exception
        if isinstance(exception, errors.CallboardError)
        else errors.InputError("The request does not fit.")
    )
    if wants_json(request):
        return _json(request, error)
    return _page(
        request,
        HTTPStatus.BAD_REQUEST,
        {
            "title": "This request does not fit",
            "lede": str(error)
            if isinstance(exception, errors.CallboardError)
            else "Part of the address or the form cannot be read.",
            "remedy": error.remedy or "Go back and try again from the page itself.",
        },
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403: known, but may not do this."""
    said = str(exception) if exception else ""
    error = (
        exception
        if isinstance(exception, errors.CallboardError)
        else errors.NotAllowedError(said or "Not allowed.")
    )
    if wants_json(request):
        return _json(request, error)
    return _page(
        request,
        HTTPStatus.FORBIDDEN,
        {
            "title": "You may not do this",
            "lede": said or "This page or action is for people with more rights than you have here.",
            "remedy": error.remedy or "An administrator of Callboard can grant it.",
        },
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose secret did not match: usually a page that was open while somebody signed out."""
    return _page(
        request,
        HTTPStatus.FORBIDDEN,
        {
            "title": "This form went stale",
            "lede": "The page was open for too long, or cookies are switched off.",
            "remedy": "Go back, reload the page and send the form again.",
        },
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404: not there, or not for this viewer. The address of an entity is answered with close names."""
    if wants_json(request):
        return _json(request, errors.NotFoundError(f"Nothing answers at {request.path}."))
    context: dict[str, Any] = {
        "title": "Nothing is here",
        "lede": "The address leads nowhere, or to something you may not see.",
    }
    viewer = _viewer(request)
    parts = request.path.strip("/").split("/")
    if viewer.is_signed_in and len(parts) >= 4 and parts[0] == "catalog":
        namespace, kind, name = parts[1:4]
        context = {
            "title": f"Nothing here is called {name}",
            "lede": "The address asks for an entity that was never in this catalog, or that you may not see.",
            "ref": f"{kind}:{namespace}/{name}",
            "name": name,
            "close": close_names(viewer, kind=kind, namespace=namespace, name=name),
        }
    return _page(request, HTTPStatus.NOT_FOUND, context)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: ours. Needs neither database nor session, because those may be what broke; then it is 503 and says so."""
    broken = sys.exc_info()[1]
    if broken is not None and (outage := outage_of(broken)) is not None:
        return _outage(request, outage)
    if wants_json(request):
        return _json(request, errors.CallboardError("Something broke on our side.", code="internal"))
    shell = {"title": settings.CALLBOARD_TITLE, "theme": theme_of(request)}
    page = loader.get_template("errors/500.html").render({"shell": shell, "problem_id": request_id.get()})
    return HttpResponse(page, status=HTTPStatus.INTERNAL_SERVER_ERROR)


def _outage(request: HttpRequest, outage: errors.ServiceUnavailableError) -> HttpResponse:
    if wants_json(request):
        answer = _json(request, outage)
    else:
        context = {
            "shell": {"title": settings.CALLBOARD_TITLE, "theme": theme_of(request)},
            "status": HTTPStatus(outage.status),
            "problem_id": request_id.get(),
            "title": "Not just now",
            "lede": outage.message,
            "remedy": outage.remedy,
            "again": request.get_full_path() if request.method == "GET" else "",
        }
        page = loader.get_template("errors/door.html").render(context)
        answer = HttpResponse(page, status=outage.status)
    answer["Retry-After"] = str(RETRY_AFTER)
    return answer


def for_error(request: HttpRequest, error: errors.CallboardError) -> HttpResponse:
    """The page for an error of ours that a view raised."""
    if isinstance(error, errors.NotFoundError):
        return not_found(request, error)
    if isinstance(error, errors.NotAllowedError):
        return forbidden(request, error)
    if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return _page(
            request,
            HTTPStatus(error.status),
            {"title": "This did not work", "lede": error.message, "remedy": error.remedy},
        )
    return _page(
        request,
        HTTPStatus(error.status),
        {"title": "Not just now", "lede": error.message, "remedy": error.remedy},
    )
