"""Producing what an extension shows: within its deadline, else the last value with its age."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import close_old_connections
from prometheus_client import Counter, Histogram

from portal.plugins.points import Extension

log = structlog.get_logger(__name__)
_pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="extension")
_last: dict[tuple[str, str], tuple[float, Any]] = {}
_KEPT = 2_000
_outcomes = Counter("callboard_extension_outcomes", "What producing an extension came to.", ["extension", "outcome"])
_seconds = Histogram("callboard_extension_seconds", "Time producing an extension took.", ["extension"])


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


def produce(extension: Extension, make: Callable[[], Mapping[str, Any] | None], *, subject: str = "") -> Produced:
    """Run ``make`` for ``extension``.

    Args:
        subject: what it is about (reference and viewer), so that last values are never mixed up.
    """
    started = time.perf_counter()
    memory = (extension.full_key, subject)
    try:
        if extension.deadline is None:
            value = make()
        else:
            context = contextvars.copy_context()
            value = _pool.submit(context.run, _in_thread, make).result(timeout=extension.deadline)
    except FutureTimeoutError:
        return _earlier(memory, extension, "late", f"took longer than {extension.deadline:g} s")
    except Exception:
        # A third party's defect, of any type: its own place on the page says so, the page itself is fine.
        log.exception("extension_failed", extension=extension.full_key)
        return _earlier(memory, extension, "failed", "failed")
    _outcomes.labels(extension.full_key, "made").inc()
    _seconds.labels(extension.full_key).observe(time.perf_counter() - started)
    if extension.deadline is not None:
        if len(_last) >= _KEPT:
            _last.pop(next(iter(_last)))
        _last[memory] = (time.monotonic(), value)
    return Produced(value)


def _in_thread(make: Callable[[], Any]) -> Any:
    try:
        return make()
    finally:
        close_old_connections()


def _earlier(memory: tuple[str, str], extension: Extension, outcome: str, problem: str) -> Produced:
    _outcomes.labels(extension.full_key, outcome).inc()
    made, value = _last.get(memory, (0.0, None))
    return Produced(value, time.monotonic() - made if value is not None else 0.0, problem)
