"""Read the outbox, each viewer what that viewer may see; and which subscriptions have something to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from portal.access.viewer import Viewer
from portal.events.exceptions import CursorGoneError
from portal.events.filters import EventFilter
from portal.events.models import Delivery, Event, Subscription
from portal.events.registry import event_types

#: Positions that one statement looks at: what a filter costs does not grow with the feed.
WINDOW = 5_000
#: Windows that one reading looks at before it answers with what it has, perhaps nothing, and where to go on.
MOST_WINDOWS = 8
LIMIT = 100
LARGEST_LIMIT = 1_000
_NARROWED = "narrowed below, by the rule of each type"
_TABLE = Event._meta.db_table


class FeedRow(NamedTuple):
    """One event as readers get it."""

    position: int
    uid: UUID
    type: str
    subject: str
    data: Any
    at: datetime


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A part of the feed.

    Attributes:
        rows: what was asked for and may be seen, in order.
        position: where to go on; past everything that was looked at.
        has_more: whether there is anything after that already.
    """

    rows: list[FeedRow]
    position: int
    has_more: bool


def bounds() -> tuple[int, int]:
    """Positions of the oldest and the newest event that are kept; ``(1, 0)`` where there is none."""
    with connection.cursor() as cursor:
        # Two questions in one statement: SQLite answers each from the index, but not both at once.
        cursor.execute(
            f"SELECT (SELECT MIN(position) FROM {_TABLE}), (SELECT MAX(position) FROM {_TABLE})"  # noqa: S608  (our own table)
        )
        oldest, newest = cursor.fetchone()
    return (oldest, newest) if newest else (1, 0)


def sealed_after(position: int, limit: int) -> list[FeedRow]:
    """Events as they are, for whoever narrows them afterwards."""
    return _read(_sealed().filter(position__gt=position), limit)


def seen_by(viewer: Viewer, rows: list[FeedRow]) -> list[FeedRow]:
    """The rows that ``viewer`` may see. Every way out of the outbox comes through here."""
    shown = event_types.visible(viewer, rows)
    return [row for row, visible in zip(rows, shown, strict=True) if visible]


def feed_page(viewer: Viewer, after: int | None, wanted: EventFilter, limit: int = LIMIT) -> FeedPage:
    """The next events that ``viewer`` asks for.

    Args:
        after: position to go on from; None begins with the oldest that is kept.

    Raises:
        CursorGoneError: events after that position are forgotten, or it is of another database.
    """
    oldest, newest = bounds()
    position = oldest - 1 if after is None else after
    rows: list[FeedRow] = []
    for _ in range(MOST_WINDOWS):
        until = min(position + WINDOW, newest)
        if until <= position:
            break
        window = _sealed().filter(position__gt=position, position__lte=until).filter(wanted.condition())
        found = _read(window, limit)
        position = found[-1].position if len(found) == limit else until
        rows = seen_by(viewer, found)
        if rows:
            break
    if after is not None:
        _refuse_gone(after, bounds()[0], newest)  # after reading: what went in between is not passed over
    return FeedPage(rows, position, position < newest)


def events_after(viewer: Viewer, position: int, limit: int = LIMIT) -> list[FeedRow]:
    """Sealed events after ``position`` that ``viewer`` may see, oldest first; of at most ``limit`` looked at."""
    return seen_by(viewer, sealed_after(position, limit))


def _sealed() -> QuerySet[Event]:
    return Event.objects.unrestricted(_NARROWED).filter(position__isnull=False)


def _read(rows: QuerySet[Event], limit: int) -> list[FeedRow]:
    return [FeedRow(*row) for row in rows.order_by("position").values_list(*FeedRow._fields)[:limit]]


def _refuse_gone(after: int, oldest: int, newest: int) -> None:
    if after > newest:
        raise CursorGoneError(
            "This cursor is from after the newest event of this feed: its database was set back to an earlier state.",
            code="events.cursor.ahead",
            remedy="Read the catalog anew, then go on with cursor=now.",
        )
    if oldest - 1 > after:
        raise CursorGoneError(
            "Events after this cursor are forgotten: it is older than what the feed keeps.",
            remedy="Read the catalog anew and go on with cursor=now, or begin without a cursor at the oldest"
            " event that is kept. CALLBOARD_EVENT_DAYS says how long that is.",
        )


def due_subscriptions() -> list[tuple[UUID, str]]:
    """(key, name) of every subscription that has something to send now and that nobody works on. One statement."""
    now = timezone.now()
    again = Delivery.objects.unrestricted("the sender looks after all").filter(
        subscription=OuterRef("pk"), state=Delivery.State.AGAIN, next_try_at__lte=now
    )
    newer = Event.objects.unrestricted("whether there is anything").filter(position__gt=OuterRef("position"))
    ready = Q(next_try_at__isnull=True) | Q(next_try_at__lte=now)
    rows = Subscription.objects.unrestricted("the sender looks after all").filter(
        Q(lease_until__isnull=True) | Q(lease_until__lt=now),
        Q(Exists(again)) | (ready & Q(Exists(newer))),
        enabled=True,
    )
    return list(rows.order_by("pk").values_list("pk", "name"))


def undelivered_from() -> int | None:
    """The lowest position that a subscription which is on still waits at; None where there is none."""
    rows = Subscription.objects.unrestricted("what is not delivered is not forgotten").filter(enabled=True)
    return rows.order_by("position").values_list("position", flat=True).first()


def deliveries_of(viewer: Viewer, subscription: Subscription) -> QuerySet[Delivery]:
    """Deliveries of one subscription, newest first."""
    return Delivery.objects.visible_to(viewer).filter(subscription=subscription).order_by("-id")


def lag_of(subscription: Subscription, newest: int) -> int:
    """How many events a subscription has not looked at yet, matching or not."""
    return max(newest - subscription.position, 0)


__all__ = [
    "LARGEST_LIMIT",
    "LIMIT",
    "FeedPage",
    "FeedRow",
    "bounds",
    "deliveries_of",
    "due_subscriptions",
    "events_after",
    "feed_page",
    "lag_of",
    "sealed_after",
    "seen_by",
    "undelivered_from",
]
