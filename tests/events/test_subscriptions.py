"""Subscriptions: made, changed, tested, their secrets; what is kept of deliveries."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from portal.access.viewer import Viewer
from portal.audit.models import AuditEvent
from portal.core.errors import ConflictError, InputError, PreconditionFailedError
from portal.events.models import Delivery, Subscription
from portal.events.services import (
    change_subscription,
    create_subscription,
    delete_subscription,
    deliver_due,
    forget_old_deliveries,
    ping,
    rotate_secret,
)
from tests.events.receivers import happen, receiver, subjects, verified
from tests.factories.events import SECRET, DeliveryFactory, SubscriptionFactory
from tests.services.http_server import Reply

pytestmark = pytest.mark.django_db
CURATOR = Viewer("user:curator", user_id=None, is_staff=True)
SYSTEM = Viewer.system("test")


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.CALLBOARD_EGRESS_ALLOW = ["127.0.0.1"]


def fresh(subscription: Subscription) -> Subscription:
    return Subscription.objects.get(pk=subscription.pk)


def make_due(subscription: Subscription) -> None:
    """As if the pause before the next attempt were over."""
    past = timezone.now() - timedelta(seconds=1)
    Subscription.objects.filter(pk=subscription.pk, next_try_at__isnull=False).update(next_try_at=past)
    Delivery.objects.filter(subscription=subscription, next_try_at__isnull=False).update(next_try_at=past)


def states(subscription: Subscription) -> dict[str, str]:
    return dict(Delivery.objects.filter(subscription=subscription).values_list("subject", "state"))


def test_a_subscription_is_made_with_a_secret_that_is_stored_sealed() -> None:
    happen("before")
    row, secret = create_subscription(
        actor=SYSTEM, name=" hook ", url="https://hooks.acme.example/x?token=abc"
    )
    assert secret.startswith("whsec_") and secret not in fresh(row).secret
    assert (row.name, row.position) == ("hook", 1), "from now on"
    shown = json.dumps(AuditEvent.objects.get(verb="events.subscription.created").after)
    assert "abc" not in shown and secret not in shown
    assert create_subscription(actor=SYSTEM, name="all", url=row.url, start="oldest")[0].position == 0


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"name": " "}, "events.subscription.name"),
        ({"url": "ftp://x.example/"}, "http.url"),
        ({"url": "https://user:pw@x.example/"}, "http.url"),
        ({"types": ["a*b"]}, "events.filter"),
        ({"types": [1]}, "events.filter"),
        ({"start": "yesterday"}, "events.subscription.start"),
    ],
)
def test_what_cannot_be_a_subscription_is_refused(values: dict[str, Any], code: str) -> None:
    with pytest.raises(InputError) as caught:
        create_subscription(actor=SYSTEM, **{"name": "x", "url": "https://hooks.acme.example/", **values})
    assert caught.value.code == code
    assert not Subscription.objects.exists()


def test_changes_are_recorded_and_refused_where_somebody_else_was_first() -> None:
    one, other = SubscriptionFactory(name="one"), SubscriptionFactory(name="other")
    changed = change_subscription(actor=CURATOR, subscription=one, changes={"types": ["a.*"]}, revision=1)
    assert (changed.types, changed.revision) == (["a.*"], 2)
    with pytest.raises(PreconditionFailedError):
        change_subscription(actor=CURATOR, subscription=one, changes={"types": []}, revision=1)
    with pytest.raises(PreconditionFailedError):
        delete_subscription(actor=CURATOR, subscription=one, revision=1)
    with pytest.raises(ConflictError):
        change_subscription(actor=CURATOR, subscription=other, changes={"name": "one"})
    record = AuditEvent.objects.get(verb="events.subscription.changed")
    assert (record.before, record.after) == ({"types": []}, {"types": ["a.*"]})


def test_during_a_change_of_secrets_both_sign_and_afterwards_the_new_one() -> None:
    with receiver() as (server, subscription):
        _, secret = rotate_secret(actor=CURATOR, subscription=subscription)
        happen("a")
        deliver_due(key=subscription.pk)
        assert verified(server.seen[0], SECRET) and verified(server.seen[0], secret)
        Subscription.objects.update(previous_until=timezone.now())
        happen("b")
        deliver_due(key=subscription.pk)
        assert verified(server.seen[1], secret) and not verified(server.seen[1], SECRET)


def test_a_secret_opens_for_its_own_subscription_only() -> None:
    with receiver() as (server, subscription):
        Subscription.objects.update(secret=SubscriptionFactory().secret)
        happen("a")
        deliver_due(key=subscription.pk)
        assert server.seen == []
    assert "cannot be opened" in fresh(subscription).last_error


def test_a_ping_says_what_came_back_and_moves_nothing() -> None:
    with receiver(lambda seen: Reply(200)) as (server, subscription):
        happen("a")
        outcome = ping(actor=CURATOR, subscription=subscription)
        assert outcome.ok and outcome.status == 200
        assert json.loads(server.seen[0].body)["type"] == "callboard.ping" and verified(
            server.seen[0], SECRET
        )
    assert fresh(subscription).position == 0
    failed = ping(actor=CURATOR, subscription=subscription)
    assert not failed.ok and failed.problem


def test_an_event_that_is_not_asked_for_any_more_is_not_tried_again() -> None:
    with receiver(lambda seen: Reply(500 if b'"a"' in seen.body else 200)) as (server, subscription):
        happen("a", "b")
        deliver_due(key=subscription.pk)
        change_subscription(actor=CURATOR, subscription=subscription, changes={"subjects": ["b"]})
        make_due(subscription)
        deliver_due(key=subscription.pk)
        assert subjects(server) == ["a", "b"]
    assert states(subscription) == {"a": "dropped", "b": "delivered"}


def test_deliveries_that_are_over_are_forgotten_and_dead_letters_stay() -> None:
    old = timezone.now() - timedelta(days=8)
    for state in Delivery.State.values:
        DeliveryFactory(state=state, last_at=old)
    DeliveryFactory(state="delivered")
    assert forget_old_deliveries() == 2
    assert sorted(Delivery.objects.values_list("state", flat=True)) == [
        "again",
        "dead",
        "delivered",
        "retrying",
    ]
