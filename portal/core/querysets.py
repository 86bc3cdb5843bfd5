"""Querysets that refuse to be read inside a request before somebody said for whom.

The guard knows nothing of access: it only sees whether a query was scoped. ``portal.access`` scopes by
``visible_to(viewer)``; services that act for the system say ``unrestricted("why")``.

The mark travels with the query, not with the queryset around it, and is looked at where SQL is made. So it holds for
every way of reading: rows, values, counts, async iteration, related managers, prefetches, members of a union, and
queries inside other queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self, TypeVar

from django.db import models
from django.db.models.sql import Query

M = TypeVar("M", bound=models.Model, covariant=True)
_guarding: ContextVar[bool] = ContextVar("callboard_guarding", default=False)


class UnscopedReadError(RuntimeError):
    """A request was about to read rows without saying for whom: a defect in our code, never the caller's."""


@contextmanager
def guarded_reads(active: bool = True) -> Iterator[None]:
    """Inside this block every guarded query has to be scoped before it is read."""
    token = _guarding.set(active)
    try:
        yield
    finally:
        _guarding.reset(token)


class GuardedQuery(Query):
    """A query that knows whether it was scoped. Writes are queries of other classes and pass."""

    scoped_by: str = ""

    def get_compiler(self, using: str | None = None, connection: Any = None, elide_empty: bool = True) -> Any:
        if not self.scoped_by and _guarding.get() and not self.is_empty():
            raise UnscopedReadError(
                f"{self.model._meta.label if self.model else self} is read inside a request without "
                "visible_to(viewer). "
                "Scope the queryset, or say unrestricted(reason) in a service that acts for the system."
            )
        return super().get_compiler(using, connection, elide_empty)

    def combine(self, rhs: Query, connector: str) -> None:
        """``a | b`` and ``a & b`` are scoped where both sides are."""
        super().combine(rhs, connector)
        if not getattr(rhs, "scoped_by", ""):
            self.scoped_by = ""

    def split_exclude(self, *args: Any, **kwargs: Any) -> Any:
        """Django turns ``exclude()`` over a to-many relation into an inner query of this query's own class."""
        own, self.__class__ = self.__class__, _JoinedQuery
        try:
            return super().split_exclude(*args, **kwargs)
        finally:
            self.__class__ = own


class _JoinedQuery(GuardedQuery):
    """An inner query that stands for a join. Like a join it shows no rows of its own."""

    scoped_by = "joined to its outer query"


class GuardedQuerySet(models.QuerySet[M]):
    """A queryset whose reads are checked while ``guarded_reads`` is active."""

    query: GuardedQuery

    def __init__(
        self,
        model: type[M] | None = None,
        query: Query | None = None,
        using: str | None = None,
        hints: dict[str, models.Model] | None = None,
    ) -> None:
        super().__init__(model, query or GuardedQuery(model), using, hints)

    @property
    def scoped_by(self) -> str:
        """For whom or why these rows may be read; empty where nobody has said so."""
        return self.query.scoped_by

    def scoped(self, reason: str) -> Self:
        """Mark as scoped; for ``unrestricted`` and for ``portal.access``."""
        marked: Self = self._chain()  # type: ignore[attr-defined]  # Django's own copy step, not in the stubs
        marked.query.scoped_by = reason
        return marked

    def unrestricted(self, reason: str) -> Self:
        """All rows, for code that acts for the system and not for a viewer. The reason is for the reader."""
        return self.scoped(f"unrestricted: {reason}")

    def raw(self, *args: Any, **kwargs: Any) -> Any:
        """Handwritten SQL cannot be narrowed: only after ``unrestricted``."""
        self.query.get_compiler(self.db)
        return super().raw(*args, **kwargs)
