"""Signatures of outgoing webhooks, as the Standard Webhooks say: any receiver that knows them can verify ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Iterable
from datetime import datetime

PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """A new secret in the form that receivers are given: ``whsec_`` and base64."""
    return PREFIX + base64.b64encode(os.urandom(_BYTES)).decode("ascii")


def signed_headers(*, message_id: str, at: datetime, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """The headers of one attempt.

    Args:
        message_id: the same in every attempt, so that a receiver can tell what it has already.
        at: when this attempt is made; receivers refuse what is old.
        secrets: one signature each: the current one, and during a change the one before it.
    """
    seconds = str(int(at.timestamp()))
    signatures = " ".join(signature(secret, message_id, seconds, body) for secret in secrets)
    return {"webhook-id": message_id, "webhook-timestamp": seconds, "webhook-signature": signatures}


def signature(secret: str, message_id: str, seconds: str, body: bytes) -> str:
    """``v1,`` and the HMAC-SHA256 of id, timestamp and body in base64."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.new(key, b".".join((message_id.encode(), seconds.encode(), body)), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode("ascii")
