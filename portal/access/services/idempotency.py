"""POSTs that may be sent again: the first one does the work, the others get its answer.

What the request writes and the answer that is kept are one transaction, so whoever dies in between leaves nothing of
either. The mark of a request under way is committed before, so a second one that comes meanwhile is told so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from portal.access.models import IdempotentAnswer
from portal.access.viewer import Viewer
from portal.core.errors import CallboardError, ConflictError, InputError

KEPT = timedelta(hours=24)
#: After this long a request that never answered counts as dead.
LEASE = timedelta(seconds=60)
LONGEST_KEY = 200
REASON = "one's own earlier requests"


class KeyReusedError(CallboardError):
    """The key was sent before, with something else."""

    name, status, default_code = "InputError", 422, "api.idempotency.reused"


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer as it was given."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """This request is the one that does the work, until ``lease_until``."""

    pk: int
    lease_until: datetime


def begin_request(*, actor: Viewer, key: str, digest: str) -> Claim | KeptAnswer:
    """Take a key, or get the answer that was given under it.

    Call it outside of any transaction: others have to see the mark at once.

    Args:
        digest: of everything that was sent.

    Raises:
        InputError: the key is too long, or holds something else than visible ASCII.
        KeyReusedError: something else was sent under this key.
        ConflictError: the first request is still under way.
    """
    if not key.isascii() or not key.isprintable() or len(key) > LONGEST_KEY:
        raise InputError(
            f"An Idempotency-Key has 1 to {LONGEST_KEY} visible ASCII characters.",
            code="api.idempotency.key",
            remedy="Send a UUID.",
        )
    now = timezone.now()
    rows = IdempotentAnswer.objects.unrestricted(REASON)
    rows.filter(expires_at__lt=now).delete()
    lease = now + LEASE
    try:
        with transaction.atomic():
            made = IdempotentAnswer.objects.create(
                actor=actor.actor,
                key=key,
                digest=digest,
                created_at=now,
                lease_until=lease,
                expires_at=now + KEPT,
            )
        return Claim(made.pk, lease)
    except IntegrityError:
        earlier = rows.filter(actor=actor.actor, key=key).first()
    if earlier is None:  # it failed and took its mark away just now
        raise _under_way(key)
    if earlier.digest != digest:
        raise KeyReusedError(
            f"The Idempotency-Key {key} was sent before, with another request.",
            remedy="Send a new key with each new request.",
        )
    if earlier.status is not None:
        return KeptAnswer(earlier.status, earlier.body, earlier.headers)
    dead = rows.filter(pk=earlier.pk, status=None, lease_until=earlier.lease_until, lease_until__lt=now)
    if not dead.update(lease_until=lease):
        raise _under_way(key)
    return Claim(earlier.pk, lease)


def keep_answer(*, claim: Claim, answer: KeptAnswer) -> None:
    """Keep the answer in the transaction that did the work.

    Raises:
        ConflictError: the request took so long that another one does the work by now; everything is taken back.
    """
    mine = IdempotentAnswer.objects.filter(pk=claim.pk, status=None, lease_until=claim.lease_until)
    kept = mine.update(status=answer.status, body=answer.body, headers=dict(answer.headers))
    if not kept:
        raise ConflictError(
            "The request was sent again meanwhile, and that one counts.", code="api.idempotency.late"
        )


def give_up_request(*, claim: Claim) -> None:
    """Let the key go: the request changed nothing, so it may be sent again under the same key."""
    rows = IdempotentAnswer.objects.unrestricted(REASON)
    rows.filter(pk=claim.pk, status=None, lease_until=claim.lease_until).delete()


def _under_way(key: str) -> ConflictError:
    return ConflictError(
        f"The first request with the Idempotency-Key {key} is still under way.",
        code="api.idempotency.under-way",
        remedy="Wait a second, then send the same again.",
    )
