"""Around every request: its id, its time, its line in the log."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject
from structlog.contextvars import clear_contextvars

from portal.core.context import request_id
from portal.observability import tracing
from portal.observability.logs import MASK, masked, request_line
from portal.observability.metrics import HTTP_SECONDS

HEADER = "X-Request-Id"
# What proxies and clients send: UUIDs, hex, ULIDs. Anything else (spaces, quotes, line ends, megabytes) is replaced.
_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Routes that are asked every few seconds: counted, but in the log only when they fail.
_QUIET = frozenset({"health/live", "health/ready", "metrics", "static"})
#: Parts of paths that open something by themselves, such as the key of a password reset.
_SECRET_PARTS = frozenset({"key", "token", "secret", "signature"})


@cache
def _observer(route: str, method: str, status: str) -> Callable[[float], None]:
    # prometheus_client finds a labelled child under a lock; we ask once. Routes, methods and classes are few.
    observe: Callable[[float], None] = HTTP_SECONDS.labels(route=route, method=method, status=status).observe
    return observe


class RequestMiddleware:
    """First in the list, so that everything after it logs and counts under the request's id.

    Takes the id from ``X-Request-Id`` when that is 8 to 64 letters, digits, ``.``, ``_`` or ``-``; else makes one.
    The answer carries it, so do all log lines, jobs and outgoing calls of the request.

    Behind a proxy (``CALLBOARD_BEHIND_PROXY``) ``REMOTE_ADDR`` becomes the last entry of ``X-Forwarded-For``, which
    is the one the proxy itself wrote: audit records and the limit on failed sign-ins are about people, not proxies.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.static = settings.STATIC_URL
        self.behind_proxy = getattr(settings, "CALLBOARD_BEHIND_PROXY", False)
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._answer_async(request)
        started = self._begin(request)
        if not tracing.is_active():
            return self._end(request, self.get_response(request), started)
        with tracing.span("request", carrier=_trace_headers(request)) as span:
            return self._end(request, self.get_response(request), started, span)

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        started = self._begin(request)
        if not tracing.is_active():
            return self._end(request, await self.get_response(request), started)
        with tracing.span("request", carrier=_trace_headers(request)) as span:
            return self._end(request, await self.get_response(request), started, span)

    def _begin(self, request: HttpRequest) -> float:
        clear_contextvars()  # threads are used again; what the last request bound must not show up here
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id.set(given if _WELL_FORMED.fullmatch(given) else os.urandom(16).hex())
        if self.behind_proxy and (forwarded := request.META.get("HTTP_X_FORWARDED_FOR")):
            request.META["REMOTE_ADDR"] = forwarded.rpartition(",")[2].strip()
        return time.perf_counter()

    def _end(
        self, request: HttpRequest, response: HttpResponseBase, started: float, span: Any = None
    ) -> HttpResponseBase:
        seconds = time.perf_counter() - started
        response.headers[HEADER] = request_id.get()
        path = request.path
        match = request.resolver_match
        if match is not None:
            route = match.route
            for name in _SECRET_PARTS.intersection(match.kwargs):
                path = path.replace(str(match.kwargs[name]), MASK)
        else:
            route = "static" if request.path_info.startswith(self.static) else "unmatched"
            path = masked(path)
        method = request.method if request.method in _METHODS else "OTHER"
        status = response.status_code
        _observer(route, method, f"{status // 100}xx")(seconds)
        if route not in _QUIET or status >= 500:
            line = {
                "method": method,
                "path": path,
                "route": route,
                "status": status,
                "ms": round(seconds * 1000, 2),
            }
            if person := _person(request):
                line["user"] = person
            request_line(line)
        if span is not None:
            span.update_name(f"{method} {route}")
            span.set_attributes(
                {"http.request.method": method, "http.route": route, "http.response.status_code": status}
            )
        return response


def forget_request(**_: Any) -> None:
    """Takes the id out of the thread once the answer is sent; until then Django itself may log about it."""
    request_id.set("")


def _person(request: HttpRequest) -> str:
    """Key of the one who asked, if somebody has looked that up already: a log line must not cause a query."""
    user = request.__dict__.get("_cached_user") or request.__dict__.get("user")
    if user is None or isinstance(user, SimpleLazyObject) or not user.is_authenticated:
        return ""
    return str(user.pk)


def _trace_headers(request: HttpRequest) -> dict[str, str]:
    return {name: request.headers[name] for name in ("traceparent", "tracestate") if name in request.headers}
