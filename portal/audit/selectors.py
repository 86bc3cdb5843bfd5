"""Which records somebody asks for, in pages by key: as cheap at the end of a million as at the beginning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from portal.audit.models import AuditEvent

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What records have in common; None for anything.

    Attributes:
        verb: a verb, or its beginning and ``*``.
        since, until: from this moment on, and before this one.
    """

    actor: str | None = None
    verb: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def among(self, rows: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        names = ("actor", "object_type", "object_id", "request_id")
        exact = {name: value for name in names if (value := getattr(self, name)) is not None}
        rows = rows.filter(**exact)
        if self.verb is not None:
            beginning = self.verb.removesuffix("*")
            rows = (
                rows.filter(verb__startswith=beginning)
                if beginning != self.verb
                else rows.filter(verb=self.verb)
            )
        if self.since is not None:
            rows = rows.filter(at__gte=self.since)
        if self.until is not None:
            rows = rows.filter(at__lt=self.until)
        return rows


def page_before(
    rows: QuerySet[AuditEvent], key: int | None, limit: int
) -> tuple[list[AuditEvent], int | None]:
    """The newest ``limit`` records below a key, and the key that goes on from there; None at the end."""
    older = rows if key is None else rows.filter(pk__lt=key)
    found = list(older.order_by("-pk")[: limit + 1])
    return found[:limit], found[limit - 1].pk if len(found) > limit else None


def in_batches(rows: QuerySet[AuditEvent]) -> Iterator[list[AuditEvent]]:
    """All records that are there now, oldest first, never more than ``BATCH`` in memory."""
    newest, last = rows.order_by("-pk").values_list("pk", flat=True).first() or 0, 0
    while batch := list(rows.filter(pk__gt=last, pk__lte=newest).order_by("pk")[:BATCH]):
        yield batch
        last = batch[-1].pk
