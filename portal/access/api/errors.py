"""One error body for the whole API: the stock envelope plus ``code``, ``remedy`` and ``requestId``."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from rest_framework import exceptions
from rest_framework.views import set_rollback

from portal.access.api.renderers import json_response
from portal.core import errors
from portal.core.context import request_id
from portal.core.outages import RETRY_AFTER, outage_of


def _translate(exc: Exception) -> errors.CallboardError | None:
    """Framework errors as ours; None for what is a defect and must surface."""
    if isinstance(exc, errors.CallboardError):
        return exc
    if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return errors.AuthenticationError(str(exc.detail))
    if isinstance(exc, exceptions.PermissionDenied | PermissionDenied):
        return errors.NotAllowedError(str(exc) or "Not allowed.")
    if isinstance(exc, Http404 | exceptions.NotFound):
        return errors.NotFoundError(str(exc) or "Not found.")
    if isinstance(exc, exceptions.APIException):
        error = errors.InputError(str(exc.detail))
        error.status = exc.status_code if exc.status_code < 500 else 500
        return error
    return outage_of(exc)


def error_body(error: errors.CallboardError, *, method: str, url: str) -> dict[str, Any]:
    """The envelope that stock clients parse; ``url`` is relative to the mount of the API."""
    inner: dict[str, Any] = {"name": error.name, "message": error.message, "code": error.code}
    if error.remedy:
        inner["remedy"] = error.remedy
    inner.update(error.details)
    inner["requestId"] = request_id.get()
    return {
        "error": inner,
        "request": {"method": method, "url": url},
        "response": {"statusCode": error.status},
    }


def exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """DRF's hook."""
    error = _translate(exc)
    if error is None:
        return None
    set_rollback()
    request = context["request"]
    mount = getattr(context.get("view"), "mount", "")
    url = request.get_full_path()
    body = error_body(
        error, method=request.method, url=url[len(mount) :] if mount and url.startswith(mount) else url
    )
    response = json_response(body, status=error.status)
    wait = getattr(exc, "wait", None)  # of a throttled call, in seconds
    if wait is not None:
        response["Retry-After"] = str(int(wait) + 1)
    if error.status == 503:
        response.setdefault("Retry-After", str(RETRY_AFTER))
    if error.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response
