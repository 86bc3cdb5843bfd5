"""The pages, the API and the admin of webhooks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Hook
from catalog.views import hooks as views
from portal.access.services import create_token
from portal.jobs.models import Job
from portal.plugins.registry import registry
from tests.catalog.views.conftest import MOST_STATEMENTS, text_of
from tests.factories.access import StaffFactory
from tests.factories.hooks import SYSTEM, deliver, deliveries, make_hook, push
from tests.factories.world import make_source

pytestmark = [pytest.mark.django_db, pytest.mark.req("R019")]
SHOP = "https://github.com/acme/shop.git"
INBOUND = "/api/catalog/v1/inbound-hooks"


@pytest.fixture
def hook() -> Hook:
    return make_hook(name="acme")


@pytest.fixture
def api() -> Client:
    _, text = create_token(actor=SYSTEM, user=StaffFactory(), name="test")
    return Client(headers={"Authorization": f"Bearer {text}"})


def test_without_a_webhook_the_page_says_what_one_is_good_for(curator: Client, reader: Client) -> None:
    assert "No webhook yet" in text_of(curator.get("/catalog/hooks/"))
    assert reader.get("/catalog/hooks/").status_code == 403
    assert "/catalog/hooks/" not in text_of(reader.get("/catalog/sources/"))
    assert "/catalog/hooks/" in text_of(curator.get("/catalog/sources/"))


def test_the_page_shows_address_steps_and_what_came_of_each_delivery(curator: Client, hook: Hook) -> None:
    page = f"/catalog/hooks/{hook.pk}/"
    assert "Nothing came yet" in text_of(curator.get(page))
    make_source("shop", type="git", target=SHOP)
    deliver(hook, push(SHOP), id="one")
    shown = text_of(curator.get(page))
    assert f"/api/catalog/v1/hooks/{hook.pk}" in shown
    assert "Payload URL" in shown
    assert "waits for a worker" in shown
    job = Job.objects.unrestricted("test").get()
    Job.objects.filter(pk=job.pk).update(
        state="succeeded", finished_at=job.created_at, result={"state": "done", "changed": 3}
    )
    shown = text_of(curator.get(page))
    assert "3 changed" in shown
    assert f"/jobs/{job.pk}/" in shown
    assert "acme" in text_of(curator.get("/catalog/hooks/"))


def test_deliveries_are_found_by_repository_and_verdict(curator: Client, hook: Hook) -> None:
    for name in ("shop", "kiosk"):
        deliver(hook, push(f"https://github.com/acme/{name}.git"), id=f"push-{name}")
    deliver(hook, {}, event="ping", id="the-ping")
    page = f"/catalog/hooks/{hook.pk}/"
    found = text_of(curator.get(f"{page}?q=SHOP"))
    assert "push-shop" in found
    assert "push-kiosk" not in found
    assert "the-ping" in text_of(curator.get(f"{page}?verdict=ping"))
    assert "No delivery matches" in text_of(curator.get(f"{page}?q=nothing"))
    assert curator.get(f"{page}?verdict=what").status_code == 400
    assert curator.get(f"{page}?after=x").status_code == 400


def test_deliveries_are_paged_in_both_directions(
    curator: Client, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "PAGE", 2)
    for number in range(5):
        deliver(hook, {}, event="ping", id=f"ping-{number}")
    rows = deliveries(hook)
    page = f"/catalog/hooks/{hook.pk}/"
    newest = text_of(curator.get(page))
    assert ("ping-4" in newest, "ping-3" in newest, "ping-2" in newest) == (True, True, False)
    assert f"?after={rows[3].pk}" in newest
    middle = text_of(curator.get(f"{page}?after={rows[3].pk}"))
    assert ("ping-2" in middle, "ping-1" in middle, "ping-0" in middle) == (True, True, False)
    back = text_of(curator.get(f"{page}?before={rows[2].pk}"))
    assert "ping-4" in back
    assert "ping-2" not in back


def test_the_button_replays(curator: Client, hook: Hook) -> None:
    deliver(hook, push(SHOP), id="one")
    make_source("shop", type="git", target=SHOP)
    (row,) = deliveries(hook)
    answer = curator.post(f"/catalog/hooks/deliveries/{row.pk}/replay/", follow=True)
    assert "Replayed: Reads shop." in text_of(answer)
    assert [r.attempt for r in deliveries(hook)] == [0, 1]
    Hook.objects.filter(pk=hook.pk).update(enabled=False)
    assert "switched off" in text_of(curator.post(f"/catalog/hooks/deliveries/{row.pk}/replay/", follow=True))


def test_pages_take_few_statements_whatever_came(curator: Client, hook: Hook) -> None:
    for number in range(12):
        make_source(f"shop {number}", type="git", target=f"https://github.com/acme/shop-{number}.git")
        deliver(hook, push(f"https://github.com/acme/shop-{number}.git"))
        make_hook()
    job = Job.objects.unrestricted("test").all()[0]
    for page in ("/catalog/hooks/", f"/catalog/hooks/{hook.pk}/", f"/jobs/{job.pk}/"):
        registry.forget_switches()
        with CaptureQueriesContext(connection) as caught:
            assert curator.get(page).status_code == 200
        assert len(caught) <= MOST_STATEMENTS, "\n".join(query["sql"][:160] for query in caught)


def test_webhooks_over_rest(api: Client) -> None:
    make_source("shop", type="git", target=SHOP)

    def send(method: str, path: str, body: Any = None) -> Any:
        return api.generic(method, path, data=b"" if body is None else json.dumps(body),
                           content_type="application/json")  # fmt: skip

    made = send("POST", INBOUND, {"name": "acme", "provider": "github", "sources": ["shop"]})
    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    body = made.json()
    address = f"{INBOUND}/{body['id']}"
    assert made["Location"] == address
    assert "secret" not in api.get(address).json()
    hook = Hook.objects.get(pk=body["id"])
    assert deliver(hook, push(SHOP), secret=body["secret"]).status_code == 202
    (row,) = api.get(f"{address}/deliveries?verdict=queued&repository=shop").json()["items"]
    assert [target["name"] for target in row["targets"]] == ["shop"]
    replayed = send("POST", f"/api/catalog/v1/hook-deliveries/{row['id']}/replay")
    assert (replayed.status_code, replayed.json()["attempt"]) == (201, 1)
    page = api.get(f"{address}/deliveries?limit=1").json()
    rest = api.get(f"{address}/deliveries", {"limit": 1, "cursor": page["pageInfo"]["nextCursor"]}).json()
    assert [page["items"][0]["attempt"], rest["items"][0]["attempt"]] == [1, 0]
    assert rest["pageInfo"] == {}
    new = send("POST", f"{address}/secret", {"overlapHours": 0}).json()["secret"]
    assert deliver(hook, {}, event="ping", secret=body["secret"]).status_code == 401
    assert deliver(hook, {}, event="ping", secret=new).status_code == 200
    changed = send("PATCH", address, {"enabled": False, "sources": []}).json()
    assert (changed["enabled"], changed["limited"], changed["sources"]) == (False, False, [])
    assert send("POST", INBOUND, {"name": "acme", "provider": "github"}).status_code == 409
    assert send("POST", INBOUND, {"name": "b", "provider": "cvs"}).status_code == 400
    assert (
        send("POST", INBOUND, {"name": "b", "provider": "github", "sources": ["nobody"]}).status_code == 404
    )
    assert api.get(f"{address}/deliveries?verdict=what").status_code == 400
    assert [item["name"] for item in api.get(INBOUND).json()["items"]] == ["acme"]
    assert send("DELETE", address).status_code == 204
    assert api.get(address).status_code == 404


def test_the_admin_shows_a_secret_once(curator: Client) -> None:
    source = make_source("shop")
    form = {
        "name": "acme",
        "provider": "github",
        "enabled": "on",
        "reads": [str(source.pk)],
        "secret_ref": "",
    }
    answer = curator.post("/admin/catalog/hook/add/", form)
    text = text_of(answer)
    assert "no-store" in answer["Cache-Control"]
    secret = text.partition('id="hook-secret"')[2].partition('value="')[2].partition('"')[0]
    hook = Hook.objects.get(name="acme")
    assert deliver(hook, {}, event="ping", secret=secret.replace("&#x2B;", "+")).status_code == 200
    change = f"/admin/catalog/hook/{hook.pk}/change/"
    assert secret not in text_of(curator.get(change))
    assert hook.limited
    curator.post(change, {"name": "renamed", "enabled": "on"})
    hook.refresh_from_db()
    assert (hook.name, hook.limited) == ("renamed", False)
