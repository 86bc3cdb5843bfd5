"""Keys and what is done with them. Keys come from ``CALLBOARD_KEYS`` (``id:base64``, the first is current)."""

from __future__ import annotations

import base64
import hashlib
import hmac

from django.conf import settings

from portal.core.errors import CallboardError


def hash_token(text: str) -> str:
    """SHA-256 of a token in hex. Tokens are long and random, so no salt and no stretching are needed."""
    return hashlib.sha256(text.encode()).hexdigest()


def _current_key() -> bytes:
    if not settings.CALLBOARD_KEYS:
        raise CallboardError(
            "There is no key to seal with.", code="crypto.no-key", remedy="Set CALLBOARD_KEYS (docs/operators/settings.md)."
        )
    return base64.b64decode(settings.CALLBOARD_KEYS[0].partition(":")[2])


def chain_hash(previous: str, payload: bytes) -> str:
    """Keyed digest of ``payload`` after ``previous``, in hex: HMAC-SHA256."""
    return hmac.new(_current_key(), previous.encode() + b"\0" + payload, hashlib.sha256).hexdigest()
