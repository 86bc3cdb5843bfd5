"""Sessions of browsers: noted when they are used, ended by their person or an administrator."""

from __future__ import annotations

import time
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone

from portal.access.models import BrowserSession, User
from portal.access.viewer import CURATE, Viewer
from portal.audit.services import record
from portal.core.errors import NotAllowedError, NotFoundError

NOTED_EVERY = 300.0
MOST_REMEMBERED = 10_000
_noted: dict[str, float] = {}


def note_session(request: HttpRequest, user: User) -> None:
    """Remember that this browser was here. Not a change anyone audits, so no record.

    Each process writes at most once in ``NOTED_EVERY`` seconds for one session, and reads nothing.
    """
    key = getattr(getattr(request, "session", None), "session_key", None)
    clock = time.monotonic()
    if not key or clock - _noted.get(key, -NOTED_EVERY) < NOTED_EVERY:
        return
    if len(_noted) >= MOST_REMEMBERED:
        _noted.clear()
    _noted[key] = clock
    now = timezone.now()
    seen = {
        "seen_at": now,
        "address": request.META.get("REMOTE_ADDR", "")[:64],
        "agent": request.META.get("HTTP_USER_AGENT", "")[:300].replace("\x00", ""),
    }
    if BrowserSession.objects.filter(session_id=key, user_id=user.pk).update(**seen):
        return
    try:
        with transaction.atomic():
            BrowserSession.objects.create(session_id=key, user=user, created_at=now, **seen)
    except IntegrityError:
        pass  # another request noted it first, or it was ended at this moment


@transaction.atomic
def end_session(*, actor: Viewer, session: BrowserSession) -> None:
    """Sign one browser out, from its next request on.

    Raises:
        NotAllowedError: it is somebody else's, and the actor is no administrator.
        NotFoundError: it has ended before.
    """
    if session.user_id != actor.user_id and not actor.allows(CURATE):
        raise NotAllowedError("This session is somebody else's.", code="access.session.others")
    gone, _ = Session.objects.filter(pk=session.session_id).delete()
    if not gone:
        raise NotFoundError("This session has ended already.", code="access.session.ended")
    _record(actor, session.user, 1)


@transaction.atomic
def end_sessions(*, actor: Viewer, user: User, keep: str | None = None) -> int:
    """Sign a person out everywhere.

    Args:
        keep: key of the one session that goes on.

    Returns:
        How many ended.

    Raises:
        NotAllowedError: it is somebody else, and the actor is no administrator.
    """
    if user.pk != actor.user_id and not actor.allows(CURATE):
        raise NotAllowedError("These sessions are somebody else's.", code="access.session.others")
    _, rows = Session.objects.filter(seen_as__user_id=user.pk).exclude(pk=keep or "").delete()
    ended: int = rows.get(Session._meta.label, 0)
    if ended:
        _record(actor, user, ended)
    return ended


def _record(actor: Viewer, user: User, count: int) -> None:
    record(
        actor=actor.actor,
        verb="access.session.ended",
        target=user,
        after={"user": user.username, "sessions": count},
    )


def on_signed_in(*, request: HttpRequest | None, user: AbstractBaseUser, **kwargs: Any) -> None:
    """Receiver of Django's ``user_logged_in``: the session is on the list from its first moment."""
    if request is not None and isinstance(user, User):
        note_session(request, user)


def on_new_password(*, request: HttpRequest | None, user: AbstractBaseUser, **kwargs: Any) -> None:
    """Receiver of allauth's signals about passwords: Django lets other sessions fail, here they go at once."""
    if isinstance(user, User):
        keep = request.session.session_key if request is not None else None
        actor = Viewer(actor=f"user:{user.username}", user_id=user.pk)
        end_sessions(actor=actor, user=user, keep=keep)
