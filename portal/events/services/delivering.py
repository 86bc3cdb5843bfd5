"""Sending events to a subscription: at least once, in order, no holes.

One sender at a time holds a subscription, by a lease and a fence. It sends the next event, then records the outcome and
moves the position in one transaction. Killed between the two, the next sender sends that event again under the same
``webhook-id``; killed anywhere else, nothing was sent and nothing moved.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from portal.access.models import User
from portal.access.services import viewer_of_user
from portal.access.viewer import Viewer
from portal.audit.services import record
from portal.core.http import Client
from portal.events.exceptions import CursorGoneError, LostClaimError
from portal.events.filters import EventFilter
from portal.events.metrics import DELIVERIES, SWITCHED_OFF
from portal.events.models import Delivery, Subscription
from portal.events.selectors import FeedRow, feed_page
from portal.events.services import messages
from portal.events.services.messages import Outcome
from portal.events.services.outbox import publish

log = structlog.get_logger(__name__)
#: Seconds between two attempts at one event, less or more a tenth: about a day in all, then it is a dead letter.
PAUSES = (5, 30, 120, 600, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600, 21_600)
#: A subscription none of whose deliveries has succeeded for this long is switched off.
FAILING = timedelta(days=3)
#: Longer than an attempt may take, with room for a slow database.
LEASE = timedelta(seconds=30)
#: After a defect of ours the subscription is left alone for this long.
DEFECT_PAUSE = timedelta(seconds=60)
PAGE = 50
BURST_SECONDS = 60.0
SENDER = Viewer.system("webhooks")
DISABLED = "events.subscription.disabled"
_OWN = "the sender's own subscription"


def deliver_due(
    *, key: UUID | str, stopped: Callable[[], bool] = lambda: False, seconds: float = BURST_SECONDS
) -> dict[str, int]:
    """Send what a subscription has not got yet, until there is nothing, an attempt fails, or time is up.

    Args:
        key: of the subscription.
        stopped: looked at between events; true ends the work.
        seconds: after which somebody else should go on.

    Returns:
        Counts: delivered, failed. Both 0 where another sender has it.
    """
    key = UUID(str(key))
    fence = _claim(key)
    if fence is None:
        return {"delivered": 0, "failed": 0}
    with messages.client() as http:
        sender = _Sender(key, fence, http, stopped, time.monotonic() + seconds)
        try:
            sender.work()
        except LostClaimError:
            log.info("webhook_claim_lost", subscription=str(key))
        except BaseException:
            _own(key, fence).update(lease_until=timezone.now() + DEFECT_PAUSE)
            raise
        else:
            _own(key, fence).update(lease_until=None)
    return {"delivered": sender.delivered, "failed": sender.failed}


def _claim(key: UUID) -> int | None:
    """Take a subscription; its new fence, or None where somebody has it or it is off."""
    now = timezone.now()
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    with transaction.atomic():
        taken = Subscription.objects.filter(free, pk=key, enabled=True).update(
            fence=F("fence") + 1, lease_until=now + LEASE
        )
        if not taken:
            return None
        rows = Subscription.objects.unrestricted(_OWN).filter(pk=key)
        return rows.values_list("fence", flat=True).get()


def _own(key: UUID, fence: int) -> Any:
    return Subscription.objects.filter(pk=key, fence=fence)


class _Sender:
    """Holds one subscription for a while."""

    def __init__(
        self, key: UUID, fence: int, http: Client, stopped: Callable[[], bool], until: float
    ) -> None:
        self.key, self.fence, self.http = key, fence, http
        self.stopped, self.until = stopped, until
        self.delivered = self.failed = 0

    def work(self) -> None:
        while self._goes_on():
            subscription = self._read()
            if subscription is None:
                return
            viewer = _viewer_of(subscription)
            if viewer is None:
                self._switch_off(
                    subscription, f"{subscription.created_by}, for whom it was made, is no longer active."
                )
                return
            letter = self._letter()
            if letter is not None:
                self._again(subscription, letter)
                continue
            if subscription.next_try_at is not None and subscription.next_try_at > timezone.now():
                return
            if not self._next_events(subscription, viewer):
                return

    def _goes_on(self) -> bool:
        return not self.stopped() and time.monotonic() < self.until

    def _read(self) -> Subscription | None:
        """The row as it is now, with address, filter and secrets; None where it was switched off or taken over.

        The claim, and every outcome since, made the lease longer than the next attempt can be.
        """
        rows = Subscription.objects.unrestricted(_OWN).select_related("user")
        return rows.filter(pk=self.key, fence=self.fence, enabled=True).first()

    def _next_events(self, subscription: Subscription, viewer: Viewer) -> bool:
        """Send a page of events. False where there is nothing more to do now."""
        wanted = EventFilter(tuple(subscription.types), tuple(subscription.subjects))
        try:
            page = feed_page(viewer, subscription.position, wanted, PAGE)
        except CursorGoneError as error:
            self._switch_off(subscription, error.message)
            return False
        if subscription.failures:
            self._give_up_others(page.rows[0] if page.rows else None)
        for number, row in enumerate(page.rows):
            if number:
                if not self._goes_on():
                    return False
                fresh = self._read()
                if fresh is None or fresh.revision != subscription.revision:
                    return True  # it was changed: begin with what it is now
                subscription = fresh
            if not self._event(subscription, row):
                return True  # letters may be due, or the next event where this one is dead
        if page.position > subscription.position:
            self._move(position=page.position, lease_until=timezone.now() + LEASE)
        return page.has_more

    def _event(self, subscription: Subscription, row: FeedRow) -> bool:
        """One attempt at one event and its outcome. Whether it was delivered."""
        known = self._deliveries().filter(message_id=row.uid).first()
        body = known.body if known is not None and known.body else messages.body_of(**row_values(row))
        outcome = messages.send(self.http, subscription, row.uid, body)
        now = timezone.now()
        attempts = (known.attempts if known is not None and known.state == Delivery.State.RETRYING else 0) + 1
        again_at = None if outcome.ok else _again_at(attempts, outcome, now)
        if outcome.ok:
            state, moved = Delivery.State.DELIVERED, _success(now)
        else:
            state = Delivery.State.RETRYING if again_at else Delivery.State.DEAD
            moved = _failure(subscription, outcome, again_at, now)
        if again_at is None:
            moved["position"] = row.position
        with transaction.atomic():
            self._move(**moved, lease_until=now + LEASE)
            values = _outcome_values(state, attempts, outcome, again_at, now, body)
            if known is None:
                Delivery.objects.create(
                    subscription_id=self.key,
                    message_id=row.uid,
                    position=row.position,
                    type=row.type,
                    subject=row.subject,
                    first_at=now,
                    **values,
                )
            else:
                Delivery.objects.filter(pk=known.pk).update(**values)
            if not outcome.ok:
                self._switch_off_where_hopeless(subscription, outcome, now)
        self._count(state)
        return outcome.ok

    def _letter(self) -> Delivery | None:
        rows = self._deliveries().filter(state=Delivery.State.AGAIN, next_try_at__lte=timezone.now())
        return rows.order_by("position").first()

    def _again(self, subscription: Subscription, letter: Delivery) -> None:
        """One attempt at a dead letter that somebody sent again; the order of the others is not touched."""
        outcome = messages.send(self.http, subscription, letter.message_id, letter.body)
        now, attempts = timezone.now(), letter.attempts + 1
        again_at = None if outcome.ok else _again_at(attempts, outcome, now)
        state = (
            Delivery.State.DELIVERED
            if outcome.ok
            else Delivery.State.AGAIN
            if again_at
            else Delivery.State.DEAD
        )
        with transaction.atomic():
            self._move(lease_until=now + LEASE)
            same = Delivery.objects.filter(pk=letter.pk, state=Delivery.State.AGAIN)
            same.update(**_outcome_values(state, attempts, outcome, again_at, now, letter.body))
        self._count(state)

    def _give_up_others(self, row: FeedRow | None) -> None:
        """An event that was to be tried again, but is not asked for any more since somebody changed the filter."""
        others = Delivery.objects.filter(subscription=self.key, state=Delivery.State.RETRYING)
        if row is not None:
            others = others.exclude(message_id=row.uid)
        others.update(
            state=Delivery.State.DROPPED, next_try_at=None, body="", error="Not asked for any more."
        )

    def _deliveries(self) -> Any:
        return Delivery.objects.unrestricted(_OWN).filter(subscription=self.key)

    def _move(self, **values: Any) -> None:
        if not _own(self.key, self.fence).update(**values):
            raise LostClaimError(f"The subscription {self.key} belongs to another sender now.")

    def _count(self, state: Delivery.State) -> None:
        if state == Delivery.State.DELIVERED:
            self.delivered += 1
        else:
            self.failed += 1
        names = {Delivery.State.DELIVERED: "delivered", Delivery.State.DEAD: "dead"}
        DELIVERIES.labels(names.get(state, "failed")).inc()

    def _switch_off_where_hopeless(self, subscription: Subscription, outcome: Outcome, now: datetime) -> None:
        # Not the receiver's own words, which anybody may have put there: this goes into log, record and feed.
        if outcome.over:
            self._switch_off(
                subscription, f"The receiver wants no more events: it answered with status {outcome.status}."
            )
        elif subscription.failing_since is not None and now - subscription.failing_since >= FAILING:
            days = (now - subscription.failing_since).days
            answered = f"answered with status {outcome.status}" if outcome.status else "did not answer"
            self._switch_off(
                subscription, f"No delivery has succeeded for {days} days: the receiver {answered}."
            )

    def _switch_off(self, subscription: Subscription, reason: str) -> None:
        """Off, with the reason where a person sees it, a record and an event."""
        with transaction.atomic():
            self._move(enabled=False, reason=reason, next_try_at=None, revision=F("revision") + 1)
            record(
                actor=SENDER.actor,
                verb="events.subscription.disabled",
                target=subscription,
                before={"enabled": True},
                after={"enabled": False, "reason": reason},
            )
            publish(events=[(DISABLED, subscription.name, {"reason": reason, "id": str(subscription.pk)})])
        SWITCHED_OFF.inc()
        log.warning("webhook_switched_off", subscription=subscription.name, reason=reason)


def row_values(row: FeedRow) -> dict[str, Any]:
    """An event for :func:`messages.body_of`."""
    return {"uid": row.uid, "type": row.type, "subject": row.subject, "data": row.data, "at": row.at}


def _viewer_of(subscription: Subscription) -> Viewer | None:
    """With whose eyes it sees; None where that person is gone."""
    if subscription.user_id is None:
        return SENDER if subscription.created_by.startswith("system:") else None
    person: User | None = subscription.user
    return viewer_of_user(person) if person is not None and person.is_active else None


def _again_at(attempts: int, outcome: Outcome, now: datetime) -> datetime | None:
    """When to try again; None after the last attempt."""
    if attempts > len(PAUSES):
        return None
    pause = PAUSES[attempts - 1] * random.uniform(0.9, 1.1)  # noqa: S311  (spreads load, no secret)
    # A receiver may ask for longer, but not for longer than we would wait anyway.
    return now + timedelta(seconds=max(pause, min(outcome.pause, PAUSES[-1])))


def _success(now: datetime) -> dict[str, Any]:
    return {"failures": 0, "failing_since": None, "next_try_at": None, "last_ok_at": now, "last_error": ""}


def _failure(
    subscription: Subscription, outcome: Outcome, again_at: datetime | None, now: datetime
) -> dict[str, Any]:
    return {
        "failures": F("failures") + 1,
        "failing_since": subscription.failing_since or now,
        "next_try_at": again_at,
        "last_error": outcome.error,
    }


def _outcome_values(
    state: Delivery.State,
    attempts: int,
    outcome: Outcome,
    again_at: datetime | None,
    now: datetime,
    body: str,
) -> dict[str, Any]:
    return {
        "state": state,
        "attempts": attempts,
        "status": outcome.status,
        "error": outcome.error,
        "milliseconds": round(outcome.seconds * 1000),
        "last_at": now,
        "next_try_at": again_at,
        "body": "" if outcome.ok else body,
    }
