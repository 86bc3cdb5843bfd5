"""Which function does which kind of job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portal.jobs.running import JobContext

Handler = Callable[["JobContext"], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class JobKind:
    """A registered kind of job.

    Attributes:
        tries: how often it may start, counting starts whose worker died.
        retry_seconds: wait before the next try after a passing error (504, 503); doubles each time.
    """

    name: str
    handler: Handler
    tries: int = 5
    retry_seconds: int = 5


_kinds: dict[str, JobKind] = {}


def job_handler(name: str, *, tries: int = 5, retry_seconds: int = 5) -> Callable[[Handler], Handler]:
    """Decorator: this function does jobs of kind ``name``. It must be safe to run again from the start."""

    def register(handler: Handler) -> Handler:
        _kinds[name] = JobKind(name, handler, tries, retry_seconds)
        return handler

    return register


def job_kind(name: str) -> JobKind:
    """Raises KeyError for an unknown name."""
    return _kinds[name]
