"""Addresses as the stock server takes them: any letter case, doubled slashes and a slash at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, re_path

from catalog.api.stock import UnknownPath

View = Callable[..., HttpResponseBase]


def tolerant(routes: Sequence[URLPattern]) -> list[URLPattern]:
    """``routes`` as they are, and behind them one that finds them for other writings of their fixed segments.

    Whatever it does not find is an unknown path.
    """
    known = [(str(route.pattern).strip("/").split("/"), route.callback) for route in routes]
    unknown = UnknownPath.as_view()

    def answer(request: HttpRequest, rest: str) -> HttpResponseBase:
        segments = [segment for segment in rest.split("/") if segment]
        for pattern, view in known:
            arguments = _match(pattern, segments)
            if arguments is not None:
                return view(request, **arguments)
        return unknown(request)

    answer.csrf_exempt = True  # type: ignore[attr-defined]  # the views behind it check where there is a session
    answer.login_required = False  # type: ignore[attr-defined]  # they ask for a token or session themselves
    return [*routes, re_path(r"^(?P<rest>.*)$", answer)]


def _match(pattern: Sequence[str], segments: Sequence[str]) -> dict[str, Any] | None:
    """The arguments of a route such as ``entities/by-uid/<str:uid>``, or None."""
    if len(pattern) != len(segments):
        return None
    arguments = {}
    for expected, found in zip(pattern, segments, strict=True):
        if expected.startswith("<"):
            arguments[expected.strip("<>").partition(":")[2]] = found
        elif expected != found.lower():
            return None
    return arguments
