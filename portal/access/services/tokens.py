"""Bearer tokens: made once, kept as a hash, looked up on every API call."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from portal.access.models import Token, User
from portal.access.services.users import viewer_of_user
from portal.access.viewer import CURATE, VIEW, Viewer
from portal.audit.models import AuditEvent
from portal.audit.services import record
from portal.core.context import address
from portal.core.crypto import hash_token
from portal.core.errors import InputError, NotFoundError

PREFIX = "cb_"
SCOPES = (VIEW, CURATE)
USE_NOTED_EVERY = timedelta(minutes=1)
REMEMBERED_SECONDS = 1.0
MOST_REMEMBERED = 1_000
#: Addresses from which the use of one token is recorded in a day, so that no client can fill the audit record.
ADDRESSES_A_DAY = 20
MOST_NOTED = 10_000


class _Remembered(NamedTuple):
    viewer: Viewer
    token: Token
    expires_at: datetime | None
    until: float


_remembered: dict[str, _Remembered] = {}
_noted: set[tuple[int, str, str]] = set()


@transaction.atomic
def create_token(
    *, actor: Viewer, user: User, name: str, scopes: Sequence[str] = (), expires_at: datetime | None = None
) -> tuple[Token, str]:
    """Make a token for ``user``.

    Args:
        scopes: actions it is limited to, such as ``view``; none means all that the person may do.

    Returns:
        The row, and the text of the token, which is nowhere else.

    Raises:
        InputError: no name or one that is too long, a scope that is none, or an end that has passed.
    """
    name = name.strip()
    if not 0 < len(name) <= 100:
        raise InputError("A token needs a name of at most 100 characters.", code="access.token.name")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise InputError(
            f"{unknown[0]!r} is no scope.",
            code="access.token.scope",
            remedy=f"Scopes are {' and '.join(SCOPES)}.",
        )
    if expires_at is not None and expires_at <= timezone.now():
        raise InputError(
            "The token would have expired already.", code="access.token.expired", remedy="Choose a later end."
        )
    text = PREFIX + secrets.token_urlsafe(32)
    token = Token.objects.create(
        user=user,
        name=name,
        prefix=text[: len(PREFIX) + 6],
        digest=hash_token(text),
        scopes=list(scopes),
        expires_at=expires_at,
    )
    record(
        actor=actor.actor,
        verb="access.token.created",
        target=token,
        after={
            "user": user.username,
            "scopes": list(scopes),
            "expires_at": expires_at and expires_at.isoformat(),
        },
    )
    return token, text


@transaction.atomic
def revoke_token(*, actor: Viewer, token: Token) -> None:
    """End a token now.

    Raises:
        NotFoundError: it was revoked before.
    """
    changed = Token.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now())
    if not changed:
        raise NotFoundError(f"The token {token} is revoked already.", code="access.token.revoked")
    record(actor=actor.actor, verb="access.token.revoked", target=token)
    transaction.on_commit(forget_tokens)


@transaction.atomic
def revoke_tokens(*, actor: Viewer, user: User) -> int:
    """End every token of a person now; says how many."""
    valid = Token.objects.unrestricted("all tokens of a person end with them").filter(
        user=user, revoked_at__isnull=True
    )
    revoked = 0
    for token in valid:
        if Token.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now()):
            record(actor=actor.actor, verb="access.token.revoked", target=token)
            revoked += 1
    transaction.on_commit(forget_tokens)
    return revoked


def viewer_of_token(text: str) -> Viewer | None:
    """The viewer a token stands for, or None where it is unknown, expired, revoked or its person disabled.

    One statement, or none within ``REMEMBERED_SECONDS`` of the last time in this process: that is how long a token may
    still be accepted after it was revoked or its person disabled elsewhere. Its own expiry is looked at each time. The
    note of its last use is written at most once a minute.
    """
    now = timezone.now()
    digest = hash_token(text)
    # A transaction may see rows that nobody else will; nothing is remembered inside one.
    remembering = not connection.in_atomic_block
    if remembering:
        known = _remembered.get(digest)
        if (
            known is not None
            and known.until > time.monotonic()
            and (known.expires_at is None or known.expires_at > now)
        ):
            _record_token_use(known.token, now)
            return known.viewer
    token = (
        Token.objects.unrestricted("a token is looked up before anybody is known")
        .select_related("user")
        .filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now))
        .filter(digest=digest, revoked_at__isnull=True, user__is_active=True)
        .first()
    )
    if token is None:
        return None
    note_token_use(token=token, at=now)
    _record_token_use(token, now)
    viewer = viewer_of_stored_token(token)
    if remembering:
        if len(_remembered) >= MOST_REMEMBERED:
            _remembered.clear()
        _remembered[digest] = _Remembered(
            viewer, token, token.expires_at, time.monotonic() + REMEMBERED_SECONDS
        )
    return viewer


def forget_tokens() -> None:
    """Look every token up again, in this process."""
    _remembered.clear()
    _noted.clear()


def viewer_of_stored_token(token: Token) -> Viewer:
    """The viewer that a row stands for; whether it is valid, the caller has looked at."""
    viewer = viewer_of_user(token.user)
    return Viewer(
        actor=f"{viewer.actor} (token {token.prefix})",
        name=viewer.name,
        user_id=viewer.user_id,
        is_staff=viewer.is_staff,
        is_superuser=viewer.is_superuser,
        token_id=token.pk,
        scopes=frozenset(token.scopes) if token.scopes else None,
    )


def note_token_use(*, token: Token, at: datetime) -> None:
    """Remember when a token was last used, to the minute; the audit record has its own measure."""
    if token.last_used_at is None or at - token.last_used_at > USE_NOTED_EVERY:
        # Compare-and-set: of many requests at the same moment one writes.
        Token.objects.filter(pk=token.pk, last_used_at=token.last_used_at).update(last_used_at=at)


def _record_token_use(token: Token, at: datetime) -> None:
    """One audit record for each token, day (UTC) and address, up to ``ADDRESSES_A_DAY``; the rest are the same again.

    Two processes at the same moment may both write theirs, which says nothing wrong.
    """
    day, here = at.date().isoformat(), address.get()
    use = (token.pk, day, here)
    if use in _noted:
        return
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    earlier = AuditEvent.objects.unrestricted("whether this use was recorded").filter(
        object_type=Token._meta.label_lower,
        object_id=str(token.pk),
        verb="access.token.used",
        at__gte=midnight,
    )
    known = set(earlier.values_list("address", flat=True)[:ADDRESSES_A_DAY])
    if here not in known and len(known) < ADDRESSES_A_DAY:
        record(actor=viewer_of_stored_token(token).actor, verb="access.token.used", target=token)
    if not connection.in_atomic_block:  # what is taken back would not have been recorded
        if len(_noted) >= MOST_NOTED:
            _noted.clear()
        _noted.add(use)
