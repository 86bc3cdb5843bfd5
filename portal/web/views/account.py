"""Your account: who you are here, and where you are signed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from portal.access.browsers import browser_words
from portal.access.models import BrowserSession, User
from portal.access.querysets import RestrictedQuerySet
from portal.access.services import end_session, end_sessions
from portal.access.viewer import Viewer
from portal.core.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Row:
    """One session as the page shows it."""

    key: int
    title: str
    address: str
    created_at: datetime
    seen_at: datetime
    current: bool


def _viewer(request: HttpRequest) -> Viewer:
    viewer: Viewer = request.viewer  # type: ignore[attr-defined]  # set by AccessMiddleware
    return viewer


def _own(viewer: Viewer) -> RestrictedQuerySet[BrowserSession]:
    rows = BrowserSession.objects.visible_to(viewer).filter(user_id=viewer.user_id or 0)
    return rows.filter(session__expire_date__gt=timezone.now())


@require_GET
def account(request: HttpRequest) -> HttpResponse:
    """The page, this session first."""
    here = request.session.session_key
    rows = [
        Row(
            each.pk,
            browser_words(each.agent),
            each.address,
            each.created_at,
            each.seen_at,
            each.session_id == here,
        )
        for each in _own(_viewer(request))
    ]
    rows.sort(key=lambda row: not row.current)
    return render(request, "web/account.html", {"person": request.user, "rows": rows})


@require_POST
def end(request: HttpRequest, key: int) -> HttpResponse:
    """End one session of one's own; somebody else's is not there."""
    session = _own(_viewer(request)).select_related("user").filter(pk=key).first()
    if session is None:
        raise NotFoundError("There is no such session of yours.", remedy="It may have ended already.")
    end_session(actor=_viewer(request), session=session)
    messages.success(request, f"{browser_words(session.agent)} is signed out.")
    return redirect("web:account")


@require_POST
def end_others(request: HttpRequest) -> HttpResponse:
    """End every session of one's own but this one."""
    viewer = _viewer(request)
    user = User.objects.get(pk=viewer.user_id)
    ended = end_sessions(actor=viewer, user=user, keep=request.session.session_key)
    messages.success(request, f"{ended} signed out. Only this browser goes on.")
    return redirect("web:account")
