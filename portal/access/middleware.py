"""Puts the viewer on the request, asks for sign-in, and guards every read until the answer is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject

from portal.access.models import User
from portal.access.services import note_session, viewer_of_user
from portal.access.standing import note_version
from portal.access.viewer import ANONYMOUS, Viewer
from portal.core.context import address
from portal.core.querysets import guarded_reads


def _viewer(request: HttpRequest) -> Viewer:
    user = request.user
    if not isinstance(user, User) or not user.is_active:
        return ANONYMOUS
    note_version(getattr(user, "access_version", None))
    note_session(request, user)
    return viewer_of_user(user)


class AccessMiddleware(LoginRequiredMiddleware):
    """``request.viewer`` for pages (the API sets its own); every view needs sign-in unless marked otherwise.

    Works in both worlds: behind ASGI the guard stays up until the awaited answer is there.
    """

    get_response: Callable[[HttpRequest], Any]  # an answer, or behind ASGI the promise of one

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        self.strict = settings.CALLBOARD_STRICT_ACCESS

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.async_mode:
            return self._answer_async(request)
        with self._around(request):
            answer: HttpResponseBase = self.get_response(request)
            return answer

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        with self._around(request):
            answer: HttpResponseBase = await self.get_response(request)
            return answer

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        # Views that ask for sign-in themselves (the API): a request with a token does not look into any session.
        if not getattr(view_func, "login_required", True):
            return None
        refused: HttpResponseBase | None = super().process_view(request, view_func, view_args, view_kwargs)
        return refused

    @contextmanager
    def _around(self, request: HttpRequest) -> Iterator[None]:
        request.viewer = SimpleLazyObject(lambda: _viewer(request))  # type: ignore[attr-defined]  # our addition
        token = address.set(request.META.get("REMOTE_ADDR", "")[:64])
        try:
            with guarded_reads(self.strict):
                yield
        finally:
            address.reset(token)
