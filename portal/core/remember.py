"""Values that one request reads once and several of its parts need."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")
_values: ContextVar[dict[Hashable, Any] | None] = ContextVar("callboard_remembered", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Inside this block ``remembered`` keeps what it made; at its end everything is forgotten."""
    token = _values.set({})
    try:
        yield
    finally:
        _values.reset(token)


def remembered(key: Hashable, make: Callable[[], T]) -> T:
    """What ``make`` returned for ``key`` earlier in this request. Outside of one it is made each time.

    Args:
        key: names the value and everything it depends on, the viewer included.
    """
    values = _values.get()
    if values is None:
        return make()
    if key not in values:
        values[key] = make()
    value: T = values[key]
    return value
