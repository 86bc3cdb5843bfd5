"""Which function does which kind of job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portal.core.errors import CallboardError

if TYPE_CHECKING:
    from portal.jobs.running import JobContext

TRIES = 5
Handler = Callable[["JobContext"], dict[str, Any] | None]


class UnknownJobKindError(CallboardError):
    """A job waits for a handler that is not installed here."""

    default_code = "jobs.kind_unknown"


@dataclass(frozen=True, slots=True)
class JobKind:
    """A registered kind of job.

    Attributes:
        tries: how often it may start, counting starts whose worker died.
        retry_seconds: wait before the next try after a passing error (504, 503); doubles each time.
    """

    name: str
    handler: Handler
    tries: int = TRIES
    retry_seconds: int = 5


_kinds: dict[str, JobKind] = {}


def job_handler(name: str, *, tries: int = TRIES, retry_seconds: int = 5) -> Callable[[Handler], Handler]:
    """Decorator: this function does jobs of kind ``name``. It must be safe to run again from the start."""

    def register(handler: Handler) -> Handler:
        _kinds[name] = JobKind(name, handler, tries, retry_seconds)
        return handler

    return register


def job_kind(name: str) -> JobKind:
    """The registered kind.

    Raises:
        UnknownJobKindError: this process has no handler of that name.
    """
    if name not in _kinds:
        raise UnknownJobKindError(
            f"No handler for jobs of kind {name} is installed.",
            remedy="Start the worker with the same version and plugins as the process that queued the job.",
        )
    return _kinds[name]


def tries_of(name: str) -> int:
    """How often a job of this kind may start; for kinds that this process does not know, the usual number."""
    return _kinds[name].tries if name in _kinds else TRIES


def job_kinds() -> list[str]:
    """Every name that is registered, sorted."""
    return sorted(_kinds)
