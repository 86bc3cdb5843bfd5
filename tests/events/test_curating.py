"""Webhooks through the API, the admin and the command line."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from portal.audit.models import AuditEvent
from portal.events.models import Delivery, Subscription
from portal.events.services import deliver_due
from tests.events.receivers import happen, receiver, subjects, verified
from tests.factories.access import StaffFactory, TokenFactory, UserFactory
from tests.factories.events import DeliveryFactory, SubscriptionFactory
from tests.services.http_server import Reply

pytestmark = pytest.mark.django_db
URL = "/api/events/v1/subscriptions"
CONFIRMED = {"_form_submitted": "True"}
HOOK = {"name": "search", "url": "https://hooks.acme.example/x", "types": ["tests.*"]}


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.CALLBOARD_EGRESS_ALLOW = ["127.0.0.1"]


@pytest.fixture
def api() -> Client:
    TokenFactory(user=StaffFactory(username="curator"), text="cb_staff")
    return Client(headers={"Authorization": "Bearer cb_staff"})


@pytest.fixture
def browser() -> Client:
    client = Client()
    client.force_login(StaffFactory(is_superuser=True))
    return client


def post(client: Client, url: str, body: Any = None) -> Any:
    return (
        client.post(url, json.dumps(body), content_type="application/json")
        if body is not None
        else client.post(url)
    )


def patch(client: Client, url: str, body: Any, **headers: str) -> Any:
    return client.patch(url, json.dumps(body), content_type="application/json", headers=headers)


def error_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# --------------------------------------------------------------------------------------------------------------- API


def test_a_subscription_is_made_read_changed_and_removed(api: Client) -> None:
    made = post(api, URL, HOOK)
    assert made.status_code == 201 and made["Cache-Control"] == "no-store"
    body = made.json()
    assert body["secret"].startswith("whsec_") and body["createdBy"].startswith("user:curator")
    url = f"{URL}/{body['id']}"
    read = api.get(url)
    assert "secret" not in read.json() and read.json()["types"] == ["tests.*"]
    assert [item["name"] for item in api.get(URL).json()["items"]] == ["search"]

    changed = patch(api, url, {"subjects": ["component:*"]}, If_Match=read["ETag"])
    assert changed.json()["subjects"] == ["component:*"]
    assert error_of(patch(api, url, {"types": []}, If_Match=read["ETag"])) == (
        412,
        "events.subscription.changed",
    )
    assert patch(api, url, {"enabled": False}).json()["enabled"] is False
    assert "curator" in api.get(url).json()["reason"]
    assert patch(api, url, {"enabled": True, "start": "now"}).json()["reason"] == ""
    assert error_of(patch(api, url, {"start": "now"})) == (400, "events.subscription.start")
    assert error_of(post(api, URL, HOOK)) == (409, "events.subscription.name-taken")
    assert error_of(post(api, URL, {**HOOK, "name": "b", "secret": "mine"})) == (400, "api.body.extra")
    assert api.delete(url).status_code == 204
    assert error_of(api.get(url)) == (404, "events.subscription.unknown")


def test_the_private_address_of_a_new_subscription_is_refused(api: Client, settings: Any) -> None:
    settings.CALLBOARD_EGRESS_ALLOW = []
    answer = post(api, URL, {**HOOK, "url": "http://10.1.2.3/hook"})
    assert error_of(answer) == (403, "egress-refused")
    assert "CALLBOARD_EGRESS_ALLOW" in answer.json()["error"]["remedy"]


def test_members_see_and_change_no_subscription() -> None:
    TokenFactory(user=UserFactory(), text="cb_member")
    member = Client(headers={"Authorization": "Bearer cb_member"})
    hook = SubscriptionFactory()
    assert member.get(URL).json()["items"] == []
    assert member.get(f"{URL}/{hook.pk}").status_code == 404
    assert post(member, URL, HOOK).status_code == 403
    assert patch(member, f"{URL}/{hook.pk}", {"enabled": False}).status_code == 403
    assert member.delete(f"{URL}/{hook.pk}").status_code == 403


def test_a_ping_and_a_new_secret(api: Client) -> None:
    with receiver() as (server, hook):
        answer = post(api, f"{URL}/{hook.pk}/secret").json()
        assert answer["previousSecretUntil"]
        pinged = post(api, f"{URL}/{hook.pk}/ping").json()
        assert (pinged["ok"], pinged["status"]) == (True, 204)
        assert verified(server.seen[0], answer["secret"])
    failed = post(api, f"{URL}/{hook.pk}/ping").json()
    assert failed["ok"] is False and failed["problem"]


def test_deliveries_are_listed_by_pages_and_dead_letters_sent_again_or_dropped(api: Client) -> None:
    with receiver() as (server, hook):
        url = f"{URL}/{hook.pk}"
        happen("a", "b", "c")
        deliver_due(key=hook.pk)
        dead = [
            DeliveryFactory(
                subscription=hook, state="dead", subject=s, position=n, body=json.dumps({"subject": s})
            )
            for n, s in enumerate("xyz")
        ]
        first = api.get(f"{url}/deliveries", {"limit": 4}).json()
        rest = api.get(f"{url}/deliveries", {"limit": 4, "cursor": first["nextCursor"]}).json()
        assert [i["subject"] for i in first["items"] + rest["items"]] == ["z", "y", "x", "c", "b", "a"]
        assert (first["hasMore"], rest["hasMore"], rest["nextCursor"]) == (True, False, None)
        letters = api.get(f"{url}/deliveries", {"state": "dead"}).json()["items"]
        assert [letter["key"] for letter in letters] == [row.pk for row in reversed(dead)]
        assert api.delete(f"{url}/deliveries/{dead[0].pk}").status_code == 204
        assert post(api, f"{url}/deliveries/{dead[1].pk}/redeliver").status_code == 202
        assert error_of(post(api, f"{url}/deliveries/{dead[1].pk}/redeliver")) == (
            409,
            "events.delivery.state",
        )
        assert post(api, f"{url}/redeliver").json() == {"redelivered": 1}
        deliver_due(key=hook.pk)
        assert subjects(server) == ["a", "b", "c", "y", "z"]
    assert error_of(api.get(f"{url}/deliveries", {"state": "lost"})) == (400, "events.delivery.state")
    assert error_of(api.get(f"{url}/deliveries", {"cursor": "x"})) == (400, "cursor.malformed")
    other = DeliveryFactory(state="dead")
    assert error_of(post(api, f"{url}/deliveries/{other.pk}/redeliver")) == (404, "events.delivery.unknown")


# ------------------------------------------------------------------------------------------------------------- admin


def test_the_admin_shows_a_new_secret_once(browser: Client) -> None:
    form = {"name": "search", "url": HOOK["url"], "types": "tests.*\n", "subjects": "", "start": "oldest"}
    happen("a")
    answer = browser.post(reverse("admin:events_subscription_add"), form)
    page = answer.content.decode()
    hook = Subscription.objects.get()
    assert "whsec_" in page and "no-store" in answer["Cache-Control"]
    assert (hook.types, hook.position) == (["tests.*"], 0)
    assert (
        "whsec_"
        not in browser.get(reverse("admin:events_subscription_change", args=[hook.pk])).content.decode()
    )
    rotated = browser.post(
        f"/admin/events/subscription/{hook.pk}/new-secret/", CONFIRMED, headers={"HX-Request": "true"}
    )
    assert (
        rotated["HX-Retarget"] == "#dialog"
        and 'id="dialog"' in rotated.content.decode()
        and "whsec_" in rotated.content.decode()
    )


def test_the_admin_refuses_beside_the_field(browser: Client) -> None:
    form = {"name": "search", "url": "http://10.1.2.3/", "types": "a*b", "subjects": "", "start": "now"}
    page = browser.post(reverse("admin:events_subscription_add"), form).content.decode()
    assert "CALLBOARD_EGRESS_ALLOW" in page
    page = browser.post(
        reverse("admin:events_subscription_add"), {**form, "url": HOOK["url"]}
    ).content.decode()
    assert "is no type to ask for" in page
    assert not Subscription.objects.exists()


def test_the_admin_tests_switches_and_sends_again(browser: Client) -> None:
    with receiver(lambda seen: Reply(500)) as (_, hook):
        page = f"/admin/events/subscription/{hook.pk}"
        tested = browser.post(f"{page}/send-test/", CONFIRMED, follow=True).content.decode()
        assert "status 500" in tested
        browser.post(f"{page}/turn-off/", CONFIRMED)
        assert not Subscription.objects.get().enabled
        browser.post(f"{page}/turn-on/", {**CONFIRMED, "start": "now"})
        assert Subscription.objects.get().enabled
        letters = [DeliveryFactory(subscription=hook, state="dead", position=n) for n in range(4)]
        delivered = DeliveryFactory(subscription=hook)
        browser.post(f"/admin/events/delivery/{letters[0].pk}/send-again/", CONFIRMED)
        browser.post(f"/admin/events/delivery/{letters[1].pk}/drop-letter/", CONFIRMED)
        chosen = {"action": "drop_chosen", "_selected_action": [letters[2].pk, delivered.pk]}
        said = browser.post(reverse("admin:events_delivery_changelist"), chosen, follow=True).content.decode()
        assert "1 dropped, 1 were no dead letters" in said
        browser.post(f"{page}/redeliver-dead/", CONFIRMED)
        assert [Delivery.objects.get(pk=row.pk).state for row in letters] == [
            "again",
            "dropped",
            "dropped",
            "again",
        ]
        history = browser.get(reverse("admin:events_subscription_history", args=[hook.pk])).content.decode()
        assert "events.subscription.disabled" in history


# ------------------------------------------------------------------------------------------------------ command line


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_the_command_adds_tests_lists_and_mends() -> None:
    with receiver() as (server, _):
        added = json.loads(
            run("webhook", "add", "mine", f"{server.base}/mine", "--type", "tests.*", "--json")
        )
        happen("a")
        listed = [json.loads(line) for line in run("webhook", "list", "--json").splitlines()]
        mine = next(row for row in listed if row["name"] == "mine")
        assert (mine["state"], mine["waiting"], mine["types"]) == ("on", 1, ["tests.*"])
        assert "status 204" in run("webhook", "test", "mine")
        assert verified(server.seen[0], added["secret"])
        DeliveryFactory(subscription_id=added["id"], state="dead", error="It was away.")
        assert "It was away." in run("webhook", "dead", "mine")
        assert json.loads(run("webhook", "redeliver", "mine", "--json")) == {"redelivered": 1}
        run("webhook", "off", "mine")
        assert "command line" in run("webhook", "list")
        run("webhook", "on", "mine", "--start", "now")
        assert run("webhook", "rotate", "mine").startswith("whsec_")
        run("webhook", "remove", "mine")
    assert not Subscription.objects.filter(name="mine").exists()
    assert AuditEvent.objects.filter(verb="events.subscription.deleted", actor="system:command line").exists()


def test_the_command_says_what_is_wrong() -> None:
    with receiver(lambda seen: Reply(404)) as (_, hook), pytest.raises(CommandError, match="status 404"):
        run("webhook", "test", hook.name)
    with pytest.raises(CommandError, match="webhook list"):
        run("webhook", "test", "nobody")
    with pytest.raises(CommandError, match="is no type to ask for"):
        run("webhook", "add", "x", HOOK["url"], "--type", "a*b")  # type: ignore[arg-type]  # a text among the values


def test_the_tail_prints_events_and_a_cursor_to_go_on_from() -> None:
    happen("a")
    happen("b", type="tests.other")
    assert run("events", "tail", "--once") == ""
    assert "tests.happened" in run("events", "tail", "--once", "--all")
    lines = [json.loads(line) for line in run("events", "tail", "--once", "--all", "--json").splitlines()]
    assert [line["subject"] for line in lines] == ["a", "b"]
    after = run("events", "tail", "--once", "--json", "--cursor", lines[0]["cursor"], "--type", "tests.*")
    assert [json.loads(line)["subject"] for line in after.splitlines()] == ["b"]
