"""One POST to a receiver: what it says, and what its answer means."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from django.utils import timezone

from portal.core.crypto import decrypt, encrypt
from portal.core.egress import EgressPolicy
from portal.core.errors import CallboardError, EgressRefusedError
from portal.core.http import Client
from portal.events.metrics import DELIVERY_SECONDS
from portal.events.models import Subscription
from portal.events.signing import signed_headers

#: Seconds for one attempt with all that belongs to it; shorter than the lease of the sender.
POST_SECONDS = 10.0
#: Bytes of an answer that are read. Nobody looks at more than the beginning.
ANSWER_BYTES = 1_000_000
SHOWN_ANSWER = 200
EGRESS_REMEDY = "If it is meant to be reached, add it to CALLBOARD_EGRESS_ALLOW."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to.

    Attributes:
        ok: the receiver has it.
        status: of the answer; None without one.
        seconds: that it took.
        problem, remedy: empty where all is well.
        pause: seconds that the receiver asks to be left alone.
        over: the receiver says that it does not want any more (410).
    """

    ok: bool
    status: int | None = None
    seconds: float = 0.0
    problem: str = ""
    remedy: str = ""
    pause: float = 0.0
    over: bool = False

    @property
    def error(self) -> str:
        return " ".join(filter(None, (self.problem, self.remedy)))[:1_000]


def message_id(uid: UUID) -> str:
    """An event's id as the world outside knows it, in the feed and in ``webhook-id``."""
    return f"evt_{uid.hex}"


def event_json(*, uid: UUID, type: str, subject: str, data: Any, at: datetime) -> dict[str, Any]:
    """One event as the feed has it."""
    when = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"id": message_id(uid), "type": type, "subject": subject, "data": data, "at": when}


def body_of(**event: Any) -> str:
    """The body of a delivery: an event as the feed has it, its time under the name that receivers look for."""
    made = event_json(**event)
    return orjson.dumps({"timestamp": made.pop("at"), **made}).decode()


def client() -> Client:
    """Keeps connections to receivers open between deliveries."""
    return Client(EgressPolicy.from_settings(), timeout=POST_SECONDS, max_bytes=ANSWER_BYTES)


def send(http: Client, subscription: Subscription, uid: UUID, body: str) -> Outcome:
    """Make one attempt. Raises nothing that the receiver or the network may cause."""
    started = time.monotonic()
    content, now = body.encode(), timezone.now()
    try:
        headers = signed_headers(
            message_id=message_id(uid), at=now, body=content, secrets=secrets_of(subscription, now)
        )
        answer = http.request(
            "POST",
            subscription.url,
            headers={"content-type": "application/json", **headers},
            content=content,
            max_redirects=0,
            attempts=1,
        )
    except EgressRefusedError as error:
        return Outcome(False, None, time.monotonic() - started, error.message, EGRESS_REMEDY)
    except CallboardError as error:
        return Outcome(False, None, time.monotonic() - started, error.message, error.remedy)
    seconds = time.monotonic() - started
    DELIVERY_SECONDS.observe(seconds)
    if 200 <= answer.status < 300:
        return Outcome(True, answer.status, seconds)
    problem = f"{answer.url} answered with status {answer.status}."
    if 300 <= answer.status < 400:
        target = answer.headers.get("location", "")[:200]
        remedy = f"Deliveries follow no redirects: enter the address itself ({target})."
    else:
        said = answer.body[:SHOWN_ANSWER].decode(errors="replace").replace("\x00", "").strip()
        remedy = f"It said: {said}" if said else ""
    return Outcome(
        False, answer.status, seconds, problem, remedy, pause=answer.pause, over=answer.status == 410
    )


def secrets_of(subscription: Subscription, now: datetime) -> Sequence[str]:
    """The secrets that sign at this moment, the current one first."""
    sealed = [subscription.secret]
    if subscription.previous_until is not None and subscription.previous_until > now:
        sealed.append(subscription.previous_secret)
    return [decrypt(secret, context=_context(subscription)).decode() for secret in sealed]


def sealed_secret(subscription: Subscription, secret: str) -> str:
    """A secret as the row keeps it: it opens for this subscription only."""
    return encrypt(secret.encode(), context=_context(subscription))


def _context(subscription: Subscription) -> str:
    return f"events.subscription:{subscription.pk}"
