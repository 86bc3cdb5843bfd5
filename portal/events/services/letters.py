"""Dead letters: sent again, or dropped."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from portal.access.viewer import Viewer
from portal.audit.services import record
from portal.core.errors import ConflictError
from portal.events.models import Delivery, Subscription

#: Days that deliveries which are over are kept to look at. Dead letters stay until somebody decides.
OVER_DAYS = 7
FORGET_BATCH = 2_000
_OLD = "what is over is forgotten for everybody"


@transaction.atomic
def redeliver(*, actor: Viewer, delivery: Delivery) -> None:
    """Send a dead letter again, soon, with a full set of attempts.

    Raises:
        ConflictError: it is none.
    """
    if not _dead(pk=delivery.pk).update(**_again()):
        raise _no_dead_letter(delivery)
    record(actor=actor.actor, verb="events.delivery.redelivered", target=delivery)


@transaction.atomic
def redeliver_all(*, actor: Viewer, subscription: Subscription) -> int:
    """Send all dead letters of a subscription again, in their order. Returns how many."""
    count = _dead(subscription=subscription).update(**_again())
    if count:
        record(
            actor=actor.actor,
            verb="events.subscription.redelivered",
            target=subscription,
            after={"dead_letters": count},
        )
    return count


@transaction.atomic
def drop(*, actor: Viewer, delivery: Delivery) -> None:
    """Give a dead letter up for good.

    Raises:
        ConflictError: it is none.
    """
    dropped = {"state": Delivery.State.DROPPED, "body": "", "last_at": timezone.now(), "next_try_at": None}
    if not _dead(pk=delivery.pk).update(**dropped):
        raise _no_dead_letter(delivery)
    record(
        actor=actor.actor,
        verb="events.delivery.dropped",
        target=delivery,
        before={"type": delivery.type, "subject": delivery.subject, "error": delivery.error},
    )


def forget_old_deliveries() -> int:
    """Delete what was delivered or dropped a week ago. Returns how many."""
    before = timezone.now() - timedelta(days=OVER_DAYS)
    forgotten = 0
    while True:
        old = Delivery.objects.unrestricted(_OLD).filter(
            state__in=(Delivery.State.DELIVERED, Delivery.State.DROPPED), last_at__lt=before
        )
        keys = list(old.order_by("pk").values_list("pk", flat=True)[:FORGET_BATCH])
        if not keys:
            return forgotten
        forgotten += Delivery.objects.unrestricted(_OLD).filter(pk__in=keys).delete()[0]


def _dead(**which: object) -> QuerySet[Delivery]:
    return Delivery.objects.filter(state=Delivery.State.DEAD, **which)


def _again() -> dict[str, object]:
    return {"state": Delivery.State.AGAIN, "attempts": 0, "next_try_at": timezone.now()}


def _no_dead_letter(delivery: Delivery) -> ConflictError:
    return ConflictError(
        f"{delivery} is no dead letter (any more).",
        code="events.delivery.state",
        remedy="Look at the list again.",
    )
