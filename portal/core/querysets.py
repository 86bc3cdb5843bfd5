"""Querysets that refuse to be read inside a request before somebody said for whom.

The guard knows nothing of access: it only sees whether a queryset was scoped. ``portal.access`` scopes by
``visible_to(viewer)``; services that act for the system say ``unrestricted("why")``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self, TypeVar

from django.db import models

M = TypeVar("M", bound=models.Model, covariant=True)
_guarding: ContextVar[bool] = ContextVar("callboard_guarding", default=False)


class UnscopedReadError(RuntimeError):
    """A request was about to read rows without saying for whom: a defect in our code, never the caller's."""


@contextmanager
def guarded_reads(active: bool = True) -> Iterator[None]:
    """Inside this block every guarded queryset has to be scoped before it is read."""
    token = _guarding.set(active)
    try:
        yield
    finally:
        _guarding.reset(token)


class GuardedQuerySet(models.QuerySet[M]):
    """A queryset whose reads are checked while ``guarded_reads`` is active."""

    scoped_by: str = ""

    def scoped(self, reason: str) -> Self:
        """Mark as scoped; for the two words below and for ``portal.access``."""
        marked = self._chain()
        marked.scoped_by = reason
        return marked

    def unrestricted(self, reason: str) -> Self:
        """All rows, for code that acts for the system and not for a viewer. The reason is for the reader."""
        return self.scoped(f"unrestricted: {reason}")

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]  # Django's private copy hook, not in the stubs
        clone.scoped_by = self.scoped_by
        return clone

    def _check_scope(self) -> None:
        if not self.scoped_by and _guarding.get():
            raise UnscopedReadError(
                f"{self.model._meta.label} is read inside a request without visible_to(viewer). "
                "Scope the queryset, or say unrestricted(reason) in a service that acts for the system."
            )

    def _fetch_all(self) -> None:
        if self._result_cache is None:  # type: ignore[attr-defined]  # Django's own cache attribute
            self._check_scope()
        super()._fetch_all()  # type: ignore[misc]  # Django's private fetch hook, not in the stubs

    def iterator(self, chunk_size: int | None = None) -> Iterator[Any]:
        self._check_scope()
        return super().iterator(chunk_size)

    def count(self) -> int:
        self._check_scope()
        return super().count()

    def exists(self) -> bool:
        self._check_scope()
        return super().exists()

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        self._check_scope()
        return super().aggregate(*args, **kwargs)

    def in_bulk(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        self._check_scope()
        return super().in_bulk(*args, **kwargs)
