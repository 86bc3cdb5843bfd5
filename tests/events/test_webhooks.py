"""Webhooks: at least once, in order, no holes; signed; dead letters; switched off when hopeless."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from prometheus_client import REGISTRY

from portal.access.models import User
from portal.access.viewer import Viewer
from portal.audit.models import AuditEvent
from portal.core.errors import ConflictError, EgressRefusedError
from portal.events.models import Delivery, Event, Subscription
from portal.events.registry import event_types
from portal.events.services import (
    create_subscription,
    deliver_due,
    delivering,
    drop,
    redeliver,
    redeliver_all,
    seal,
    switch_off,
    switch_on,
)
from portal.events.services.delivering import PAUSES
from portal.jobs.models import Job
from portal.jobs.running import run_job
from portal.jobs.webhooks import forget_delivery_jobs, queue_deliveries
from tests.events.receivers import happen, receiver, subjects, verified
from tests.factories.access import StaffFactory
from tests.factories.events import SECRET, DeliveryFactory, SubscriptionFactory
from tests.services.http_server import Reply, Seen

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


# ------------------------------------------------------------------------------------------------------------- sending


def test_events_arrive_in_order_signed_and_once() -> None:
    with receiver() as (server, subscription):
        happen("a", "b")
        happen("c")
        assert deliver_due(key=subscription.pk) == {"delivered": 3, "failed": 0}
        assert deliver_due(key=subscription.pk) == {"delivered": 0, "failed": 0}
        assert subjects(server) == ["a", "b", "c"]
        first = server.seen[0]
        assert (first.method, first.path) == ("POST", "/hook")
        assert first.headers["content-type"] == "application/json"
        assert verified(first, SECRET) and not verified(first, "whsec_" + "A" * 44)
        event = Event.objects.get(subject="a")
        assert first.headers["webhook-id"] == f"evt_{event.uid.hex}"
        body = json.loads(first.body)
        assert set(body) == {"id", "type", "subject", "timestamp", "data"}
        assert (body["type"], body["data"]) == ("tests.happened", {"n": "a"})
    row = fresh(subscription)
    assert (row.position, row.failures, row.lease_until) == (3, 0, None) and row.last_ok_at
    assert states(subscription) == dict.fromkeys("abc", "delivered")
    assert set(Delivery.objects.values_list("body", flat=True)) == {""}, "what was delivered is in the feed"


def test_only_what_was_asked_for_is_sent_and_the_position_moves_past_the_rest() -> None:
    with receiver(types=["tests.a.*"], subjects=["x*"]) as (server, subscription):
        happen("x1", "y1", type="tests.a.b")
        happen("x2", type="tests.b")
        happen("x3", type="tests.a.c")
        happen("z")
        deliver_due(key=subscription.pk)
        assert subjects(server) == ["x1", "x3"]
    assert fresh(subscription).position == 5
    assert queue_deliveries() == 0, "nothing is due"


def test_a_failed_attempt_is_repeated_later_and_later_with_the_same_id_and_body_and_what_follows_waits() -> (
    None
):
    answers = iter([503, 500, 200, 200])
    with receiver(lambda seen: Reply(next(answers), b"over quota")) as (server, subscription):
        happen("a", "b")
        assert deliver_due(key=subscription.pk) == {"delivered": 0, "failed": 1}
        row = fresh(subscription)
        assert row.next_try_at is not None and row.failing_since is not None
        assert 4 < (row.next_try_at - timezone.now()).total_seconds() < 6
        assert "status 503" in row.last_error and "over quota" in row.last_error
        assert deliver_due(key=subscription.pk) == {"delivered": 0, "failed": 0}, "not before its time"
        make_due(subscription)
        deliver_due(key=subscription.pk)
        waits = fresh(subscription).next_try_at
        assert waits is not None and 26 < (waits - timezone.now()).total_seconds() < 34
        assert states(subscription) == {"a": "retrying"}
        make_due(subscription)
        assert deliver_due(key=subscription.pk) == {"delivered": 2, "failed": 0}
        assert subjects(server) == ["a", "a", "a", "b"]
        assert len({(seen.headers["webhook-id"], seen.body) for seen in server.seen[:3]}) == 1
        assert all(verified(seen, SECRET) for seen in server.seen)
    assert Delivery.objects.get(subject="a").attempts == 3
    row = fresh(subscription)
    assert (row.failures, row.failing_since, row.last_error, row.next_try_at) == (0, None, "", None)


def test_the_pauses_grow_from_seconds_to_hours_and_make_about_a_day() -> None:
    assert (PAUSES[0], PAUSES[-1]) == (5, 6 * 3600)
    assert list(PAUSES) == sorted(PAUSES)
    assert 20 * 3600 < sum(PAUSES) < 28 * 3600


def test_a_receiver_that_asks_for_a_pause_gets_it() -> None:
    with receiver(lambda seen: Reply(429, headers={"Retry-After": "300"})) as (_, subscription):
        happen("a")
        deliver_due(key=subscription.pk)
    waits = fresh(subscription).next_try_at
    assert waits is not None and 295 < (waits - timezone.now()).total_seconds() < 305


def exhaust(subscription: Subscription) -> None:
    for _ in range(len(PAUSES) + 1):
        make_due(subscription)
        deliver_due(key=subscription.pk)


def test_after_the_last_attempt_it_is_a_dead_letter_and_what_follows_is_sent() -> None:
    def answer(seen: Seen) -> Reply:
        return Reply(500 if json.loads(seen.body)["subject"] == "bad" else 200)

    with receiver(answer) as (server, subscription):
        happen("a", "bad", "b")
        exhaust(subscription)
        assert states(subscription) == {"a": "delivered", "bad": "dead", "b": "delivered"}
        assert subjects(server).count("bad") == len(PAUSES) + 1
    assert fresh(subscription).position == 3
    letter = Delivery.objects.get(state="dead")
    assert json.loads(letter.body)["subject"] == "bad", "it can be sent when the event is long forgotten"


def test_dead_letters_are_sent_again_beside_the_order_or_dropped() -> None:
    fails = True
    with receiver(lambda seen: Reply(500 if fails else 200)) as (server, subscription):
        happen("a", "b", "c")
        exhaust(subscription)
        exhaust(subscription)
        exhaust(subscription)
        assert states(subscription) == dict.fromkeys("abc", "dead")
        Event.objects.filter(position__lt=3).delete()
        fails = False
        ids = {row.subject: f"evt_{row.message_id.hex}" for row in Delivery.objects.all()}
        server.seen.clear()
        drop(actor=CURATOR, delivery=Delivery.objects.get(subject="b"))
        redeliver(actor=CURATOR, delivery=Delivery.objects.get(subject="c"))
        assert queue_deliveries() == 1, "there is something to do, though no event is new"
        deliver_due(key=subscription.pk)
        assert redeliver_all(actor=CURATOR, subscription=subscription) == 1
        deliver_due(key=subscription.pk)
        assert subjects(server) == ["c", "a"]
        assert [seen.headers["webhook-id"] for seen in server.seen] == [ids["c"], ids["a"]]
    assert states(subscription) == {"a": "delivered", "b": "dropped", "c": "delivered"}
    for letter in Delivery.objects.all():
        with pytest.raises(ConflictError):
            redeliver(actor=CURATOR, delivery=letter)
    verbs = set(AuditEvent.objects.values_list("verb", flat=True))
    assert {
        "events.delivery.dropped",
        "events.delivery.redelivered",
        "events.subscription.redelivered",
    } <= verbs


def test_a_dead_letter_that_fails_again_does_not_hold_up_new_events_and_is_dead_in_the_end() -> None:
    def answer(seen: Seen) -> Reply:
        return Reply(500 if json.loads(seen.body)["subject"] == "bad" else 200)

    with receiver(answer) as (server, subscription):
        DeliveryFactory(
            subscription=subscription, state="dead", subject="bad", body='{"subject":"bad"}', position=0
        )
        redeliver_all(actor=CURATOR, subscription=subscription)
        happen("new")
        deliver_due(key=subscription.pk)
        assert subjects(server) == ["bad", "new"]
        exhaust(subscription)
    assert states(subscription) == {"bad": "dead", "new": "delivered"}


# ---------------------------------------------------------------------------------------------------------- hopeless


def test_a_webhook_that_fails_for_days_is_switched_off_with_reason_record_and_event() -> None:
    with receiver(lambda seen: Reply(500)) as (_, subscription):
        happen("a")
        deliver_due(key=subscription.pk)
        Subscription.objects.update(failing_since=timezone.now() - timedelta(days=3, hours=1))
        make_due(subscription)
        deliver_due(key=subscription.pk)
    row = fresh(subscription)
    assert not row.enabled
    assert "for 3 days" in row.reason and "status 500" in row.reason
    assert AuditEvent.objects.get(verb="events.subscription.disabled").after == {
        "enabled": False,
        "reason": row.reason,
    }
    seal()
    event = Event.objects.get(type="events.subscription.disabled")
    assert (event.subject, event.data["reason"]) == (row.name, row.reason)
    assert queue_deliveries() == 0
    assert row.position == 0, "what it has not got waits"


def test_it_goes_on_where_it_stopped_when_it_is_switched_on_again() -> None:
    fails = True
    with receiver(lambda seen: Reply(410 if fails else 200)) as (server, subscription):
        happen("a", "b")
        deliver_due(key=subscription.pk)
        assert "wants no more" in fresh(subscription).reason
        fails = False
        server.seen.clear()
        switch_on(actor=CURATOR, subscription=subscription)
        deliver_due(key=subscription.pk)
        assert subjects(server) == ["a", "b"]
        switch_on(actor=CURATOR, subscription=subscription, start="oldest")
        deliver_due(key=subscription.pk)
        assert subjects(server) == ["a", "b", "a", "b"]
        switch_off(actor=CURATOR, subscription=subscription)
        happen("c")
        assert deliver_due(key=subscription.pk)["delivered"] == 0
        switch_on(actor=CURATOR, subscription=subscription, start="now")
        happen("d")
        deliver_due(key=subscription.pk)
        assert subjects(server)[4:] == ["d"]


def test_it_is_not_switched_on_over_a_gap_without_saying_where() -> None:
    subscription = SubscriptionFactory(enabled=False, reason="tired")
    happen("a", "b", "c")
    Event.objects.filter(subject__in=["a", "b"]).delete()
    with pytest.raises(ConflictError) as caught:
        switch_on(actor=CURATOR, subscription=subscription)
    assert caught.value.code == "events.subscription.gap" and caught.value.remedy
    assert switch_on(actor=CURATOR, subscription=subscription, start="oldest").position == 2


def test_it_gets_what_the_person_who_made_it_may_see_and_ends_with_that_person() -> None:
    def visible(viewer: Viewer, subjects: Collection[str]) -> Collection[str]:
        return [s for s in subjects if s != f"not for {viewer.actor}"]

    event_types.register("tests.narrowed", visible=visible)
    person = StaffFactory(username="curator")
    with receiver(user=person, created_by="user:curator") as (server, subscription):
        happen("not for user:curator", "for everybody", type="tests.narrowed")
        deliver_due(key=subscription.pk)
        assert subjects(server) == ["for everybody"]
        User.objects.filter(pk=person.pk).update(is_active=False)
        happen("later", type="tests.narrowed")
        deliver_due(key=subscription.pk)
        assert subjects(server) == ["for everybody"]
    row = fresh(subscription)
    assert not row.enabled and "no longer active" in row.reason


def test_a_private_address_is_refused_with_the_name_of_the_setting(settings: Any) -> None:
    settings.CALLBOARD_EGRESS_ALLOW = []
    with pytest.raises(EgressRefusedError) as caught:
        create_subscription(actor=SYSTEM, name="inside", url="http://127.0.0.1:9/hook")
    assert "CALLBOARD_EGRESS_ALLOW" in caught.value.remedy
    subscription = SubscriptionFactory(url="http://127.0.0.1:9/hook")
    happen("a")
    deliver_due(key=subscription.pk)
    row = fresh(subscription)
    assert "this machine itself" in row.last_error and "CALLBOARD_EGRESS_ALLOW" in row.last_error


def test_redirects_are_not_followed() -> None:
    with receiver(lambda seen: Reply(302, headers={"Location": "/elsewhere"})) as (server, subscription):
        happen("a")
        deliver_due(key=subscription.pk)
        assert [seen.path for seen in server.seen] == ["/hook"]
    assert "/elsewhere" in fresh(subscription).last_error


# ------------------------------------------------------------------------------------------------------------- senders


def test_the_scheduler_queues_a_job_for_what_is_due_and_a_worker_does_it() -> None:
    with receiver() as (server, subscription):
        assert queue_deliveries() == 0
        happen("a")
        assert queue_deliveries() == 1 and queue_deliveries() == 0, "one that waits is enough"
        job = Job.objects.get()
        assert (job.kind, job.subject) == ("events.deliver", subscription.name)
        assert run_job(job.pk) == "succeeded"
        assert subjects(server) == ["a"]
    Job.objects.update(finished_at=timezone.now() - timedelta(hours=2))
    assert forget_delivery_jobs() == 1


def test_nothing_is_due_while_somebody_sends_or_before_its_time() -> None:
    happen("a")
    later, earlier = timezone.now() + timedelta(minutes=1), timezone.now() - timedelta(minutes=1)
    SubscriptionFactory(lease_until=later)
    SubscriptionFactory(next_try_at=later)
    SubscriptionFactory(enabled=False)
    SubscriptionFactory(position=1)
    assert queue_deliveries() == 0
    SubscriptionFactory(lease_until=earlier, next_try_at=earlier)
    assert queue_deliveries() == 1


def test_a_sender_that_lost_its_claim_moves_nothing() -> None:
    key: list[Any] = []

    def takes_over(seen: Seen) -> Reply:
        Subscription.objects.filter(pk=key[0]).update(fence=99)
        return Reply(200)

    subscription = SubscriptionFactory()
    with receiver() as (server, _):
        key.append(subscription.pk)
        Subscription.objects.filter(pk=subscription.pk).update(url=f"{server.base}/hook")
        happen("a")
        original, delivering.messages.send = (
            delivering.messages.send,
            lambda *a: takes_over_after(original, a),
        )

        def takes_over_after(send: Any, arguments: Any) -> Any:
            outcome = send(*arguments)
            takes_over(server.seen[-1])
            return outcome

        try:
            deliver_due(key=subscription.pk)
        finally:
            delivering.messages.send = original
    assert fresh(subscription).position == 0
    assert not Delivery.objects.filter(subscription=subscription).exists()


@pytest.mark.django_db(transaction=True)
def test_of_several_senders_one_sends() -> None:
    with receiver() as (server, subscription):
        happen(*(str(n) for n in range(20)))
        together = threading.Barrier(4)

        def run() -> None:
            together.wait()
            deliver_due(key=subscription.pk)
            connection.close()

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert subjects(server) == [str(n) for n in range(20)]


def test_a_defect_leaves_the_subscription_alone_for_a_while(monkeypatch: Any) -> None:
    def broken(viewer: Viewer, subjects: Collection[str]) -> Collection[str]:
        raise RuntimeError("a defect in a rule")

    event_types.register("tests.broken", visible=broken)
    subscription = SubscriptionFactory(user=StaffFactory())
    happen("a", type="tests.broken")
    with pytest.raises(RuntimeError):
        deliver_due(key=subscription.pk)
    assert queue_deliveries() == 0
    lease = fresh(subscription).lease_until
    assert lease is not None and lease > timezone.now() + timedelta(seconds=50)


def test_outcomes_are_counted() -> None:
    def counted(outcome: str) -> float:
        name = "callboard_webhook_deliveries_total"
        return REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0.0

    before = counted("delivered"), counted("failed")
    answers = iter([200, 500])
    with receiver(lambda seen: Reply(next(answers))) as (_, subscription):
        happen("a", "b")
        deliver_due(key=subscription.pk)
    assert (counted("delivered") - before[0], counted("failed") - before[1]) == (1, 1)
