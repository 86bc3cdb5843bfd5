"""Errors of the change feed and of webhooks."""

from __future__ import annotations

from portal.core.errors import CallboardError, ServiceUnavailableError


class CursorGoneError(CallboardError):
    """What comes after this cursor is not there any more, so going on would leave a hole."""

    name, status, default_code = "GoneError", 410, "events.cursor.gone"


class StreamUnavailableError(ServiceUnavailableError):
    """This process cannot open another event stream.

    Attributes:
        wait: seconds after which it is worth asking again; sent as ``Retry-After``.
    """

    default_code = "events.stream.full"
    wait = 10


class LostClaimError(CallboardError):
    """Another sender has this subscription now, or somebody moved its position."""

    default_code = "events.claim_lost"
