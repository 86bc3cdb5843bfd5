"""Telling a host that is away for a while from a source that is wrong."""

from __future__ import annotations

from portal.core.errors import CallboardError, ServiceUnavailableError, TimedOutError
from portal.core.git import GitRefusedError
from portal.core.http import HttpStatusError

#: Errors of this machine, its settings, or other syncs; no host had a part in them.
_OURS = frozenset({"process.missing", "git.redirect", "catalog.publish.busy"})
_TOO_MANY = 429


def is_outage(error: CallboardError) -> bool:
    """Whether the host did not answer, answered with a failure of its own, or asked to be left alone."""
    if isinstance(error, HttpStatusError):
        return error.http_status >= 500 or error.http_status == _TOO_MANY or error.pause > 0
    if isinstance(error, GitRefusedError) or error.code in _OURS:
        return False
    return isinstance(error, ServiceUnavailableError | TimedOutError)
