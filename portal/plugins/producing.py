"""Producing what an extension shows: within its deadline, else the last value with its age."""

from __future__ import annotations

import contextvars
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

import prometheus_client
import structlog
from django.db import close_old_connections

from portal.plugins.points import Extension

log = structlog.get_logger(__name__)
THREADS = 32
#: Calls of one extension that may run at once: a hanging one must not take the threads of all others.
MOST_AT_ONCE = 4
MOST_REMEMBERED = 2_000
_pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="extension")
_lock = threading.Lock()
_last: dict[tuple[str, str], tuple[float, Any]] = {}
_running: Counter[str] = Counter()
OUTCOMES = prometheus_client.Counter(
    "callboard_extension_outcomes", "What producing an extension came to.", ["extension", "outcome"]
)
SECONDS = prometheus_client.Histogram(
    "callboard_extension_seconds", "Time producing an extension took.", ["extension"]
)


@dataclass(frozen=True, slots=True)
class Produced:
    """Outcome of one extension.

    Attributes:
        value: what it returned, now or earlier; None where there is nothing to show.
        age: seconds since ``value`` was made; 0 for a fresh one.
        problem: empty, or why the value is old or absent.
    """

    value: Mapping[str, Any] | None
    age: float = 0.0
    problem: str = ""


def produce(
    extension: Extension, make: Callable[[], Mapping[str, Any] | None], *, subject: str = ""
) -> Produced:
    """Run ``make`` for ``extension``.

    With a deadline it runs in a thread, with the request's context. One that is late goes on, and what it makes is
    the last value of the next time.

    Args:
        subject: what it is about (reference and viewer), so that last values are never mixed up.
    """
    memory = (extension.full_key, subject)
    try:
        if extension.deadline is None:
            return Produced(_timed(extension, make))
        if not _enter(extension):
            return _earlier(memory, extension, "busy", "is still busy with earlier requests")
        context = contextvars.copy_context()
        future = _pool.submit(context.run, _in_thread, extension, make, memory)
        return Produced(future.result(timeout=extension.deadline))
    except FutureTimeoutError:
        return _earlier(memory, extension, "late", f"took longer than {extension.deadline:g} s")
    except Exception:
        # A third party's defect, of any type: its own place on the page says so, the page itself is fine.
        log.exception("extension_failed", extension=extension.full_key, owner=extension.owner)
        return _earlier(memory, extension, "failed", "failed")


def applies(extension: Any, *subjects: Any) -> bool:
    """Whether an extension with an ``applies`` condition is for these; one whose condition breaks is not."""
    try:
        return bool(extension.applies(*subjects))
    except Exception:
        # As above: a condition is code of a third party as well.
        log.exception("extension_failed", extension=extension.full_key, owner=extension.owner)
        OUTCOMES.labels(extension.full_key, "failed").inc()
        return False


def forget_values() -> None:
    """Forget every last value, in this process."""
    with _lock:
        _last.clear()


def _timed(extension: Extension, make: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    value = make()
    SECONDS.labels(extension.full_key).observe(time.perf_counter() - started)
    OUTCOMES.labels(extension.full_key, "made").inc()
    return value


def _enter(extension: Extension) -> bool:
    with _lock:
        if _running[extension.full_key] >= MOST_AT_ONCE:
            return False
        _running[extension.full_key] += 1
        return True


def _in_thread(extension: Extension, make: Callable[[], Any], memory: tuple[str, str]) -> Any:
    try:
        value = _timed(extension, make)
        with _lock:
            if len(_last) >= MOST_REMEMBERED:
                del _last[next(iter(_last))]
            _last.pop(memory, None)  # so that the oldest value stays the first
            _last[memory] = (time.monotonic(), value)
        return value
    finally:
        with _lock:
            _running[extension.full_key] -= 1
        close_old_connections()


def _earlier(memory: tuple[str, str], extension: Extension, outcome: str, problem: str) -> Produced:
    OUTCOMES.labels(extension.full_key, outcome).inc()
    with _lock:
        made, value = _last.get(memory, (0.0, None))
    return Produced(value, time.monotonic() - made if value is not None else 0.0, problem)
