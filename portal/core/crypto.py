"""Keys and what is done with them: envelopes, signatures, chained hashes.

Keys come from ``CALLBOARD_KEYS``: entries ``id:base64``, the first is current, the others still open and verify what
they made. Every use derives a key of its own from an entry, so one leaking use does not give away another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from portal.core.errors import CallboardError

#: Bytes of a new key; shorter ones than the second number are refused.
KEY_BYTES, SHORTEST_KEY = 32, 24
_VERSION = "cb1"
_NONCE_BYTES = 12


class KeyringError(CallboardError):
    """The keys in the settings cannot be used, or lack the one that is needed."""

    default_code = "crypto.keys"


class DecryptionError(CallboardError):
    """An envelope was changed, cut, or made for another place."""

    default_code = "crypto.envelope"


class SignatureError(CallboardError):
    """A signature does not belong to these bytes."""

    default_code = "crypto.signature"


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """Keys by id, the current one first.

    Args:
        keys: pairs of id and secret.
    """

    keys: tuple[tuple[str, bytes], ...]

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Keyring:
        """Keys from entries ``id:base64``.

        Raises:
            KeyringError: an entry has another form, a short key, or the id of an earlier one; or there is none.
        """
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(entries, start=1):
            name, _, text = entry.strip().partition(":")
            try:
                secret = base64.b64decode(text, validate=True)
            except binascii.Error:
                secret = b""
            if not re.fullmatch(r"[A-Za-z0-9._-]{1,40}", name) or len(secret) < SHORTEST_KEY or name in keys:
                raise KeyringError(
                    f"Entry {number} of CALLBOARD_KEYS cannot be used.",
                    remedy=f"Write id:base64 with an id of its own and at least {SHORTEST_KEY} random bytes.",
                )
            keys[name] = secret
        if not keys:
            raise KeyringError(
                "There is no key to work with.",
                code="crypto.no-key",
                remedy="Set CALLBOARD_KEYS to id:base64.",
            )
        return cls(tuple(keys.items()))

    @property
    def current_id(self) -> str:
        return self.keys[0][0]

    def encrypt(self, data: bytes, *, context: str) -> str:
        """Seal bytes into an envelope that only opens for the same context.

        Args:
            context: where it belongs, such as ``runs.secret:42``; not kept in the envelope.
        """
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._derive(self.current_id, "encrypt")).encrypt(
            nonce, data, _bound(self.current_id, context)
        )
        return f"{_VERSION}:{self.current_id}:{_encode(nonce + sealed)}"

    def decrypt(self, envelope: str, *, context: str) -> bytes:
        """Open an envelope.

        Raises:
            KeyringError: it was made with a key that is not there any more.
            DecryptionError: it is damaged, or belongs to another context.
        """
        name, body = _split(envelope)
        try:
            raw = _decode(body)
            key = AESGCM(self._derive(name, "encrypt"))
            return key.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound(name, context))
        except (InvalidTag, ValueError):
            raise DecryptionError(
                "An envelope cannot be opened: it was changed, or belongs somewhere else.",
                remedy="Restore it from a backup, or set the secret anew.",
            ) from None

    def needs_rotation(self, envelope: str) -> bool:
        """Whether an envelope was made with another key than the current one.

        Raises:
            DecryptionError: not an envelope.
        """
        return _split(envelope)[0] != self.current_id

    def sign(self, data: bytes) -> str:
        """An Ed25519 signature as ``id:base64``."""
        return f"{self.current_id}:{_encode(self._signer(self.current_id).sign(data))}"

    def verify(self, data: bytes, signature: str) -> None:
        """Check a signature that :meth:`sign` made with any of the keys.

        Raises:
            KeyringError: its key is not there any more.
            SignatureError: it does not belong to these bytes.
        """
        name, _, body = signature.partition(":")
        try:
            self._signer(name).public_key().verify(_decode(body), data)
        except (InvalidSignature, ValueError):
            raise _bad_signature() from None

    def public_key(self, key_id: str = "") -> str:
        """The public half of a signing key in base64, for whoever verifies elsewhere; the current one's by default.

        Raises:
            KeyringError: there is no such key.
        """
        return _encode(self._signer(key_id or self.current_id).public_key().public_bytes_raw())

    def chain_hash(self, previous: str, payload: bytes) -> str:
        """Keyed digest of ``payload`` after ``previous`` with the current key, in hex: HMAC-SHA256."""
        return self._chain(self.current_id, previous, payload)

    def chain_matches(self, digest: str, previous: str, payload: bytes) -> bool:
        """Whether :meth:`chain_hash` made a digest, with any of the keys: a chain goes on over a change of keys."""
        return any(same(digest, self._chain(name, previous, payload)) for name, _ in self.keys)

    def _chain(self, name: str, previous: str, payload: bytes) -> str:
        message = previous.encode() + b"\0" + payload
        return hmac.new(self._derive(name, "chain"), message, hashlib.sha256).hexdigest()

    def _signer(self, name: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._derive(name, "sign"))

    def _derive(self, name: str, purpose: str) -> bytes:
        secret = dict(self.keys).get(name)
        if secret is None:
            raise KeyringError(
                f"The key {name[:40]!r} is not in CALLBOARD_KEYS.",
                code="crypto.unknown-key",
                remedy="Add it again, after the current one, until nothing needs it any more.",
            )
        return _derived(secret, purpose)


def keyring() -> Keyring:
    """The keys of the settings.

    Raises:
        KeyringError: they cannot be used.
    """
    return _parsed(tuple(settings.CALLBOARD_KEYS))


def encrypt(data: bytes, *, context: str) -> str:
    """:meth:`Keyring.encrypt` with the keys of the settings."""
    return keyring().encrypt(data, context=context)


def decrypt(envelope: str, *, context: str) -> bytes:
    """:meth:`Keyring.decrypt` with the keys of the settings."""
    return keyring().decrypt(envelope, context=context)


def needs_rotation(envelope: str) -> bool:
    """:meth:`Keyring.needs_rotation` with the keys of the settings."""
    return keyring().needs_rotation(envelope)


def sign(data: bytes) -> str:
    """:meth:`Keyring.sign` with the keys of the settings."""
    return keyring().sign(data)


def verify(data: bytes, signature: str) -> None:
    """:meth:`Keyring.verify` with the keys of the settings."""
    keyring().verify(data, signature)


def verify_with(public_key: str, data: bytes, signature: str) -> None:
    """Check a signature with nothing but the public key, such as that of an exported checkpoint.

    Raises:
        SignatureError: it does not belong to these bytes and this key.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(_decode(public_key))
        key.verify(_decode(signature.rpartition(":")[2]), data)
    except (InvalidSignature, ValueError):
        raise _bad_signature() from None


def chain_hash(previous: str, payload: bytes) -> str:
    """Keyed digest of ``payload`` after ``previous``, in hex: :meth:`Keyring.chain_hash` with the settings' keys."""
    return keyring().chain_hash(previous, payload)


def chain_matches(digest: str, previous: str, payload: bytes) -> bool:
    """:meth:`Keyring.chain_matches` with the keys of the settings."""
    return keyring().chain_matches(digest, previous, payload)


def hash_token(text: str) -> str:
    """SHA-256 of a token in hex. Tokens are long and random, so no salt and no stretching are needed."""
    return hashlib.sha256(text.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two texts are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def new_key() -> str:
    """A new random key in the base64 of a ``CALLBOARD_KEYS`` entry."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode("ascii")


@lru_cache(maxsize=8)
def _parsed(entries: tuple[str, ...]) -> Keyring:
    return Keyring.parse(entries)


@lru_cache(maxsize=64)
def _derived(secret: bytes, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=f"callboard {purpose}".encode()).derive(secret)


def _bound(name: str, context: str) -> bytes:
    return "\0".join((_VERSION, name, context)).encode()


def _split(envelope: str) -> tuple[str, str]:
    version, _, rest = envelope.partition(":")
    name, separator, body = rest.partition(":")
    if version != _VERSION or not separator:
        raise DecryptionError("That is not an envelope.", remedy="Set the secret anew.")
    return name, body


def _bad_signature() -> SignatureError:
    return SignatureError(
        "The signature does not belong to this content.",
        remedy="Treat the content as changed by somebody else.",
    )


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii")


def _decode(text: str) -> bytes:
    """Raises ValueError for what is not base64."""
    return base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
