"""The errors of the whole house.

Each error carries what the person who can fix it needs: a stable ``code`` (the rule), a ``message`` (what happened,
with the place in it) and a ``remedy`` (what to do). ``name`` and ``status`` are the ones that existing Backstage
clients branch on (catalog API, common rules).
"""

from __future__ import annotations

from typing import Any


class CallboardError(Exception):
    """Base of every error a person may see.

    Args:
        message: one or two sentences: what happened and where.
        code: stable, dotted rule name such as ``catalog.kind.unknown``; defaults to the class's own.
        remedy: what to do about it; may be empty.
        details: further JSON-serialisable keys for the error body.
    """

    name = "Error"
    status = 500
    default_code = "error"

    def __init__(
        self, message: str, *, code: str = "", remedy: str = "", details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.remedy = remedy
        self.details = details or {}

    def __str__(self) -> str:
        return self.message


class InputError(CallboardError):
    """What was sent does not fit the rules; sending it again unchanged cannot succeed."""

    name, status, default_code = "InputError", 400, "input"


class AuthenticationError(CallboardError):
    """Nobody, or nobody we know, is asking."""

    name, status, default_code = "AuthenticationError", 401, "unauthenticated"


class NotAllowedError(CallboardError):
    """Known, but may not do this."""

    name, status, default_code = "NotAllowedError", 403, "not-allowed"


class NotFoundError(CallboardError):
    """Not there, or not for this viewer: the two are told apart nowhere."""

    name, status, default_code = "NotFoundError", 404, "not-found"


class ConflictError(CallboardError):
    """It would contradict something that is already there."""

    name, status, default_code = "ConflictError", 409, "conflict"


class PreconditionFailedError(CallboardError):
    """The object changed since the caller read it."""

    name, status, default_code = "PreconditionFailedError", 412, "precondition-failed"


class TooLargeError(InputError):
    """More bytes, nodes or levels than a limit allows."""

    default_code = "too-large"


class TimedOutError(CallboardError):
    """A deadline passed."""

    name, status, default_code = "TimeoutError", 504, "timeout"


class ServiceUnavailableError(CallboardError):
    """Something that we depend on does not answer just now."""

    name, status, default_code = "ServiceUnavailableError", 503, "unavailable"


class EgressRefusedError(NotAllowedError):
    """An outgoing request would reach an address that this installation does not allow."""

    default_code = "egress-refused"
