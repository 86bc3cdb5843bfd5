"""What a browser may load and run on our pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from portal.core.errors import CallboardError
from portal.core.remember import remembering
from portal.web.views.errors import for_error

HEADER = "Content-Security-Policy"


def policy(**sources: str) -> str:
    """A policy that allows nothing but what is named; ``script_src="'self'"`` becomes ``script-src 'self'``."""
    base = {
        "default-src": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "form-action": "'self'",
        "connect-src": "'self'",
        "font-src": "'self'",
        "img-src": "'self' data:",
        "manifest-src": "'self'",
        "script-src": "'self'",
        "style-src": "'self'",
    }
    base.update({name.replace("_", "-"): value for name, value in sources.items()})
    return "; ".join(f"{name} {value}" for name, value in base.items())


# Nothing inline, nothing from elsewhere: a page of ours has no inline style, script or handler.
PORTAL = policy()
# unfold runs the ordinary Alpine build, which evaluates expressions from attributes and sets inline styles.
ADMIN = policy(
    script_src="'self' 'unsafe-eval'", style_src="'self' 'unsafe-inline'", img_src="'self' data: blob:"
)
# Swagger UI sets inline styles; its start script is a file of ours (drf-spectacular's split view).
API_DOCS = policy(style_src="'self' 'unsafe-inline'")

BY_PREFIX = (("/admin/", ADMIN), ("/api/docs", API_DOCS))


def policy_for(path: str) -> str:
    """The policy of the page at ``path``."""
    return next((value for prefix, value in BY_PREFIX if path.startswith(prefix)), PORTAL)


class ContentSecurityPolicyMiddleware:
    """Gives every answer the policy of its part of the site, unless the view set its own."""

    sync_capable = True
    async_capable = True

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
    ) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        answer = self.get_response(request)
        return (
            add_policy(request, answer)
            if isinstance(answer, HttpResponseBase)
            else self.later(request, answer)
        )

    @staticmethod
    async def later(request: HttpRequest, answer: Awaitable[HttpResponseBase]) -> HttpResponseBase:
        return add_policy(request, await answer)


def add_policy(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Sets the header where the view has not."""
    response.headers.setdefault(HEADER, policy_for(request.path))
    return response


class PageMiddleware:
    """Around every page: what its parts share is read once, and an error of ours that a view raised gets its page.

    The API has its own handler for errors, so they never get here.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with remembering():
            return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        if isinstance(exception, CallboardError) and exception.status < 500:
            return for_error(request, exception)
        return None
