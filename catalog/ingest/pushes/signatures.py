"""Whether a delivery comes from somebody who knows the secret, as each host proves it.

========== ==========================================================================================
GitHub     ``X-Hub-Signature-256: sha256=HEX``, HMAC-SHA256 of the body
Gitea      ``X-Gitea-Signature: HEX`` (Forgejo also ``X-Forgejo-Signature``), the same digest
Bitbucket  ``X-Hub-Signature: sha256=HEX``, Cloud and Data Center
GitLab     ``webhook-signature`` of its signing token (Standard Webhooks), or ``X-Gitlab-Token``: the secret itself
generic    Standard Webhooks, or ``X-Callboard-Signature: sha256=HEX``
========== ==========================================================================================
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence

from portal.core.crypto import same

#: How far the clock of a sender may be off, and how old a signed time may be, in seconds.
TOLERANCE = 300
_PLAIN = {
    "github": ("x-hub-signature-256",),
    "gitea": ("x-gitea-signature", "x-forgejo-signature", "x-hub-signature-256"),
    "bitbucket": ("x-hub-signature",),
    "generic": ("x-callboard-signature", "x-hub-signature-256"),
}
_STANDARD = frozenset({"gitlab", "generic"})
WHSEC = "whsec_"


def is_signed(
    provider: str, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], *, now: float
) -> bool:
    """Whether a delivery is signed with one of the secrets. Every comparison takes the same time for any input.

    Args:
        headers: with names in lower case.
        body: as it came over the wire.
        secrets: the current one and, for a while after it was changed, the one before.
        now: Unix time.
    """
    found = False
    for secret in secrets:
        if not secret:
            continue
        for name in _PLAIN.get(provider, ()):
            found |= _plain(headers.get(name, ""), body, secret)
        if provider in _STANDARD:
            found |= _standard(headers, body, secret, now)
        if provider == "gitlab":
            found |= same(headers.get("x-gitlab-token", ""), secret)
    return found


def plain_signature(body: bytes, secret: str) -> str:
    """HMAC-SHA256 of a body in hex."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _plain(given: str, body: bytes, secret: str) -> bool:
    return same(given.removeprefix("sha256=").lower(), plain_signature(body, secret))


def standard_signature(id: str, timestamp: str, body: bytes, key: bytes) -> str:
    """One entry of ``webhook-signature``."""
    signed = b".".join((id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def standard_keys(secret: str) -> Iterator[bytes]:
    """Keys that a secret may stand for: what follows ``whsec_`` is base64, anything else is taken as it is."""
    yield secret.encode()
    if secret.startswith(WHSEC):
        try:
            yield base64.b64decode(secret.removeprefix(WHSEC), validate=True)
        except (binascii.Error, ValueError):
            return


def _standard(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> bool:
    id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split(" ")
    if not id or not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > 12:
        return False
    found = False
    for key in standard_keys(secret):
        right = standard_signature(id, timestamp, body, key)
        for each in given[:10]:
            found |= same(each, right)
    return found and abs(now - int(timestamp)) <= TOLERANCE
