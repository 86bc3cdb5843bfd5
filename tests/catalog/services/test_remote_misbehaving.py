"""Another instance that fails, lies, changes while it is read, or is a stock one whose answers were recorded."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest

from catalog.ingest.sources import remote as remote_module
from catalog.models import Entity, RemoteEntry, Source, Sync
from catalog.services.sources import create_source
from portal.core.errors import CallboardError
from tests.factories.remote import VARIABLE, Remote
from tests.factories.sources import (
    SYSTEM,
    assert_catalog_is_consistent,
    document,
    entity,
    exists,
    shown_relations,
)
from tests.factories.stock import Stock, as_json, cursor_to, is_listing, is_reading, made, only, ref_of
from tests.services.http_server import Reply, Seen, Server, serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.req("R032")]

SHOP = "component:default/shop"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv(VARIABLE, "secret")
    monkeypatch.setattr(remote_module, "PAGE", 2)
    monkeypatch.setattr(remote_module, "ATTEMPTS", 1)
    with serving(Stock()) as server:
        yield server


def remote_of(server: Server, *items: dict[str, Any], **values: Any) -> tuple[Stock, Remote]:
    stock = Stock(*items)
    server.answer = stock
    return stock, Remote(f"{server.base}/api/catalog", **values)


def test_a_page_that_fails_in_the_middle_removes_nothing(server: Server) -> None:
    stock, remote = remote_of(server, *(made(f"s{n}") for n in range(6)))
    remote.sync()
    stock.instead = lambda seen, reply: Reply(500) if is_listing(seen) and "cursor" in seen.path else None
    stock.items[0] = made("s0", etag="2", spec={"type": "tool", "lifecycle": "x", "owner": "platform"})
    del stock.items[5]
    sync = remote.sync()
    assert (sync.state, sync.removed, sync.changed) == (Sync.State.FAILED, 0, 1)
    assert "status 500" in sync.error
    assert entity("component:default/s0").type == "tool", "what was listed is read"
    assert entity("component:default/s1").state == Entity.State.ACTIVE
    assert (
        entity("component:default/s4").state == entity("component:default/s5").state == Entity.State.MISSING
    )
    assert remote.report["complete"] is False

    stock.instead = lambda seen, reply: None
    sync = remote.sync()
    assert (sync.removed, remote.report["gone"]) == (1, 1)
    assert entity("component:default/s4").state == Entity.State.ACTIVE
    assert remote.sync().state == Sync.State.UNCHANGED
    assert_catalog_is_consistent()


def test_entities_that_cannot_be_read_just_now_stay_marked_and_are_read_next_time(server: Server) -> None:
    stock, remote = remote_of(server, *(made(f"s{n}") for n in range(4)))
    remote.sync()
    stock.items[1] = made("s1", etag="2")
    stock.instead = lambda seen, reply: Reply(503) if is_reading(seen) else None
    sync = remote.sync()
    assert sync.removed == 0
    assert entity("component:default/s1").state == Entity.State.MISSING
    assert entity("component:default/s2").state == Entity.State.ACTIVE
    assert "status 503" in next(iter(remote.problems.values()))
    stock.instead = lambda seen, reply: None
    remote.sync()
    assert entity("component:default/s1").state == Entity.State.ACTIVE
    assert remote.problems == {}


def test_what_the_listing_missed_is_asked_for_before_it_counts_as_gone(server: Server) -> None:
    stock, remote = remote_of(server, made("shop"), made("stock"))
    remote.sync()

    def forgetful(seen: Seen, reply: Reply) -> Reply | None:
        return (
            as_json({"items": [only(stock.items[1], ["metadata.name"])], "pageInfo": {}})
            if is_listing(seen)
            else None
        )

    stock.instead = forgetful
    assert remote.sync().removed == 0
    assert entity(SHOP).state == Entity.State.ACTIVE
    stock.items[0] = made("another")
    stock.instead = lambda seen, reply: (
        forgetful(seen, reply) or (as_json({"items": [stock.items[0]]}) if is_reading(seen) else None)
    )
    assert remote.sync().removed == 0, "something else is no answer"
    stock.instead = lambda seen, reply: None
    assert remote.sync().removed == 1


def test_a_listing_that_goes_round_in_circles_ends(server: Server) -> None:
    stock, remote = remote_of(server, made("shop"), made("stock"))
    remote.sync()
    del stock.items[1]
    stock.instead = lambda seen, reply: (
        as_json({"items": [stock.items[0]], "pageInfo": {"nextCursor": cursor_to(1)}})
        if is_listing(seen)
        else None
    )
    before = len(server.seen)
    sync = remote.sync()
    assert len(server.seen) - before <= 3
    assert (sync.state, sync.removed) == (Sync.State.FAILED, 0)
    assert "does not end" in remote.problems["catalog.remote.endless"]
    assert exists("component:default/stock")


def test_a_listing_of_ever_new_pages_ends_too(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_module, "MOST_PAGES", 5)
    stock, remote = remote_of(server)
    stock.instead = lambda seen, reply: (
        as_json({"items": [], "pageInfo": {"nextCursor": cursor_to(len(server.seen))}})
        if is_listing(seen)
        else None
    )
    remote.sync()
    assert sum(is_listing(seen) for seen in server.seen) == 5
    assert "catalog.remote.endless" in remote.problems


def test_an_entity_that_goes_between_listing_and_reading_is_left_for_the_next_time(server: Server) -> None:
    stock, remote = remote_of(server, made("shop"), made("stock"))

    def nothing(seen: Seen, reply: Reply) -> Reply | None:
        if not is_reading(seen):
            return None
        items = json.loads(reply.body)["items"]
        return as_json(
            {"items": [i if i is None or i["metadata"]["name"] != "shop" else None for i in items]}
        )

    stock.instead = nothing
    remote.sync()
    assert (remote.refs, remote.outcomes[SHOP]) == ({"component:default/stock"}, "later")
    assert "went while" in remote.report["later"]["examples"][0]["reason"]
    stock.instead = lambda seen, reply: None
    remote.sync()
    assert SHOP in remote.refs
    stock.instead, stock.items[0] = nothing, made("shop", etag="2")
    assert remote.sync().removed == 0
    assert entity(SHOP).state == Entity.State.ACTIVE
    del stock.items[0]
    assert remote.sync().removed == 1


def test_an_entity_that_changes_while_it_is_read_is_taken_next_time_and_then_at_any_rate(
    server: Server,
) -> None:
    stock, remote = remote_of(server, made("shop"))
    count = 0

    def restless(seen: Seen, reply: Reply) -> Reply | None:
        nonlocal count
        if not is_reading(seen):
            return None
        count += 1
        return as_json({"items": [made("shop", etag=f"other-{count}", metadata={"title": f"Shop {count}"})]})

    stock.instead = restless
    remote.sync()
    assert (remote.refs, remote.outcomes[SHOP]) == (set(), "later")
    remote.sync()
    assert (remote.outcomes[SHOP], document(SHOP)["metadata"]["title"]) == ("taken", "Shop 2")
    stock.items[0] = made("shop", etag="calm")
    stock.instead = lambda seen, reply: None
    remote.sync()
    assert "title" not in document(SHOP)["metadata"]


def test_an_instance_that_tells_no_etag_is_read_whole_every_time(server: Server) -> None:
    stock, remote = remote_of(server, made("shop", etag=""))
    remote.sync()
    stock.items[0] = made("shop", etag="", metadata={"title": "Shop"})
    remote.sync()
    assert document(SHOP)["metadata"]["title"] == "Shop"


def test_two_instances_that_read_each_other_do_not_keep_alive_what_neither_declares(
    server: Server, settings: Any
) -> None:
    origin = f"url:{settings.CALLBOARD_BASE_URL}/api/catalog"
    ours = made("ours", metadata={"annotations": {"backstage.io/managed-by-origin-location": origin}})
    _, remote = remote_of(server, ours, made("theirs"))
    remote.sync()
    assert remote.refs == {"component:default/theirs"}
    assert remote.report["left_out"]["examples"] == [
        {"ref": "component:default/ours", "reason": "It came from this catalog."}
    ]
    assert remote.sync().state == Sync.State.UNCHANGED


def test_a_reference_is_asked_for_in_lower_case_and_names_keep_theirs(server: Server) -> None:
    _, remote = remote_of(server, made("Shop-B", kind="Component"))
    remote.sync()
    asked = json.loads(next(seen.body for seen in server.seen if is_reading(seen)))
    assert asked["entityRefs"] == ["component:default/shop-b"]
    assert document("component:default/shop-b")["metadata"]["name"] == "Shop-B"


def test_an_entity_that_is_too_large_costs_no_other(server: Server, settings: Any) -> None:
    settings.CALLBOARD_MAX_FILE_BYTES = 20_000
    large = made("large", metadata={"description": "x" * 100_000})
    _, remote = remote_of(server, made("a"), large, made("b"), made("c"))
    remote.sync()
    assert remote.refs == {f"component:default/{name}" for name in "abc"}
    assert remote.outcomes["component:default/large"] == "refused"
    assert "larger than may be read" in remote.problems["catalog.remote.too-large"]
    before = len(server.seen)
    assert remote.sync().state == Sync.State.UNCHANGED
    assert len(server.seen) - before == 2, "it is not asked for again until it changes"


def test_an_instance_that_sends_too_much_for_everything_is_given_up(server: Server, settings: Any) -> None:
    settings.CALLBOARD_MAX_FILE_BYTES = 1_000
    stock, remote = remote_of(server, *(made(f"s{n}") for n in range(40)))
    stock.instead = lambda seen, reply: Reply(body=b"x" * 100_000) if is_reading(seen) else None
    sync = remote.sync()
    assert sync.added == 1, "only the Location that stands for the source"
    assert remote.report["refused"]["count"] == 40


@pytest.mark.parametrize(
    "answer",
    [
        Reply(body=b"<html>Sign in</html>"),
        as_json([]),
        as_json({"items": {}}),
        as_json({"items": [1, None, {"kind": 5}], "pageInfo": {"nextCursor": 7}}),
        Reply(body=b"[" * 100_000),
        Reply(404),
        Reply(302, headers={"Location": "https://login.example.org/"}),
    ],
    ids=["page", "list", "no items", "odd cursor", "deep", "not found", "redirect"],
)
def test_an_answer_that_is_no_catalog_is_said_and_removes_nothing(server: Server, answer: Reply) -> None:
    stock, remote = remote_of(server, made("shop"))
    remote.sync()
    stock.instead = lambda seen, reply: answer if is_listing(seen) else None
    sync = remote.sync()
    assert (sync.state, sync.removed) == (Sync.State.FAILED, 0)
    assert remote.problems.keys() <= {
        "catalog.remote.strange", "catalog.remote.not-found", "catalog.remote.redirect", "catalog.remote.unnamed",
        "catalog.read.too-deep", "catalog.remote.too-deep",
    }  # fmt: skip
    assert entity(SHOP).state == Entity.State.MISSING


@pytest.mark.parametrize(
    ("odd", "rule"),
    [
        (made("other"), "catalog.remote.other-entity"),
        ([1], "catalog.remote.other-entity"),
        (made("shop", spec={"$text": "http://169.254.169.254/"}), "catalog.placeholder.unreadable"),
        (made("shop", spec="x"), ""),
        (made("shop", metadata={"name": "shop", "annotations": [1]}), ""),
        (made("shop", metadata={"labels": {"a": 5}, "title": "\ud800"}), ""),
        (made("shop", kind="Component", apiVersion="acme.example/v7"), "catalog.kind.unknown-version"),
        (made("shop", spec={"owner": "x", "type": "y", "lifecycle": "z", "A": 1, "a": 2}), "catalog.attribute.case"),
    ],
)  # fmt: skip
def test_an_entity_that_is_not_valid_here_is_a_problem_and_no_other_suffers(
    server: Server, odd: Any, rule: str
) -> None:
    stock, remote = remote_of(server, made("shop"), made("stock"))
    stock.instead = lambda seen, reply: (
        Reply(body=json.dumps({"items": [odd, stock.items[1]]}).encode()) if is_reading(seen) else None
    )
    sync = remote.sync()
    assert sync.state == Sync.State.PARTIAL
    assert remote.refs == {"component:default/stock"}
    refused = remote.report["refused"]
    assert [one["ref"] for one in refused["examples"]] == [SHOP]
    assert not rule or rule in remote.problems
    assert not any("169.254" in seen.path for seen in server.seen)


def test_a_file_that_an_entity_names_is_never_read(server: Server) -> None:
    place = {"annotations": {"backstage.io/managed-by-location": f"url:{server.base}/a.yaml"}}
    spec = {
        "type": "service",
        "lifecycle": "production",
        "owner": "platform",
        "note": {"$text": "./secret.txt"},
    }
    _, remote = remote_of(server, made("shop", metadata=place, spec=spec))
    remote.sync()
    assert "files are not followed" in remote.problems["catalog.placeholder.unreadable"]
    assert not any("secret" in seen.path for seen in server.seen)


def test_what_the_instance_added_is_not_taken_and_what_it_shows_besides_is_reported(server: Server) -> None:
    shop = made(
        "shop",
        metadata={
            "annotations": {
                "backstage.io/managed-by-location": "url:https://github.com/acme/shop/blob/main/catalog-info.yaml",
                "backstage.io/managed-by-origin-location": "url:https://github.com/acme/all/blob/main/all.yaml",
                "backstage.io/orphan": "true",
            }
        },
        relations=[
            {"type": "ownedBy", "targetRef": "group:default/platform"},
            {"type": "deployedTo", "targetRef": "component:default/stock"},
            {"type": "dependsOn", "targetRef": "resource:default/elsewhere"},
            "nonsense",
        ],
        status={"items": [{"level": "error", "type": "x", "message": "InputError: broken since Monday"}]},
    )
    _, remote = remote_of(server, shop, made("stock"))
    remote.sync()
    found = document(SHOP)
    assert "status" not in found
    assert shown_relations(SHOP) == [("ownedBy", "group:default/platform")]
    annotations = found["metadata"]["annotations"]
    assert annotations == {
        "backstage.io/managed-by-location": f"url:{remote.source.target}",
        "backstage.io/managed-by-origin-location": f"url:{remote.source.target}",
        "backstage.io/view-url": "https://github.com/acme/shop/blob/main/catalog-info.yaml",
        "backstage.io/edit-url": "https://github.com/acme/shop/edit/main/catalog-info.yaml",
        "backstage.io/source-location": "url:https://github.com/acme/shop/tree/main/",
    }
    lost = remote.report["lost_relations"]
    assert (lost["count"], lost["types"]) == (2, {"dependsOn": 1, "deployedTo": 1})
    reasons = {one["type"]: one["reason"] for one in lost["examples"]}
    assert "processor or kind" in reasons["deployedTo"]
    assert "not taken from there" in reasons["dependsOn"]
    assert remote.report["status_errors"]["examples"] == [
        {"ref": SHOP, "reason": "InputError: broken since Monday"}
    ]
    assert remote.report["origins"][0]["origin"] in ("", "url:https://github.com/acme/all/blob/main/all.yaml")


def test_a_relation_is_lost_only_as_long_as_nothing_declares_it(server: Server) -> None:
    shop = made("shop", relations=[{"type": "dependencyOf", "targetRef": "component:default/till"}])
    spec = {"type": "service", "lifecycle": "production", "owner": "platform", "dependsOn": [SHOP]}
    till = made("till", spec={**spec, "dependsOn": 5})
    stock, remote = remote_of(server, shop, till)
    remote.sync()
    assert remote.report["lost_relations"]["count"] == 1
    stock.items[1] = made("till", etag="2", spec=spec)
    remote.sync()
    assert remote.report["lost_relations"]["count"] == 0


def test_locations_that_stand_for_registrations_are_left_out_and_others_are_shown(server: Server) -> None:
    annotations = {"backstage.io/managed-by-location": "file:/app/all.yaml"}
    items = [
        made(f"generated-{'0' * 40}", kind="Location", spec={"type": "url", "target": "https://x.example.org/a.yaml"}),
        made("bootstrap", kind="Location", spec={"type": "bootstrap", "target": "bootstrap"}),
        made("discovery", kind="Location", spec={"type": "github-discovery", "target": "https://github.com/acme"},
             metadata={"annotations": {"backstage.io/managed-by-location": "github-discovery:https://github.com/acme"}}),
        made("disk", kind="Location", spec={"targets": ["./b.yaml"]}, metadata={"annotations": annotations}),
    ]  # fmt: skip
    stock, remote = remote_of(server, *items)
    stock.locations = [
        {"type": "url", "target": "https://x.example.org/a.yaml"},
        {"type": "file", "target": "/app/all.yaml"},
    ]
    remote.sync()
    assert remote.refs == {"location:default/discovery", "location:default/disk"}
    assert remote.report["left_out"]["count"] == 2
    assert remote.report["locations"]["count"] == 2
    del stock.items[0]
    remote.sync()
    assert remote.report["left_out"]["count"] == 1
    assert {seen.path.partition("?")[0].rpartition("/")[2] for seen in server.seen} == {
        "by-query",
        "by-refs",
        "locations",
    }


def test_a_credential_that_is_missing_altogether_says_how_to_add_a_connection(server: Server) -> None:
    stock, remote = remote_of(server, made("shop"))
    stock.instead = lambda seen, reply: Reply(403)
    sync = remote.sync()
    assert "refuses the credential of the connection second (status 403)" in sync.error
    assert server.seen[0].headers["authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("target", "pattern"),
    [("ftp://x/api/catalog", ""), ("/api/catalog", ""), ("https://x/api/catalog?a=b", ""),
     ("https://x.example.org/" + "a" * 1_000, ""), ("https://x.example.org/api/catalog", "=5")],
)  # fmt: skip
def test_an_address_or_filter_that_cannot_be_one_is_refused_when_it_is_registered(
    target: str, pattern: str
) -> None:
    with pytest.raises(CallboardError):
        create_source(actor=SYSTEM, target=target, type=Source.Type.REMOTE, pattern=pattern, name="x")


@pytest.mark.shared
def test_the_recorded_catalog_of_a_stock_instance_is_taken_whole(server: Server, shared_dir: Path) -> None:
    cases = (shared_dir / "conformance" / "catalog" / "cases.jsonl").read_text().splitlines()
    recorded = next(case for case in map(json.loads, cases) if case["id"] == "entities-001")["response"][
        "body"
    ]
    text = (
        json.dumps(recorded)
        .replace("${SEED}", "http://127.0.0.1:7390")
        .replace("${GIT}", "http://127.0.0.1:7391")
    )
    items = json.loads(re.sub(r"\{sha1 of (.*?)\}", lambda m: sha1(m[1].encode()).hexdigest(), text))
    for number, item in enumerate(items):  # the recording hides what differs from run to run
        item["metadata"]["uid"] = f"uid-{number}"
    _, remote = remote_of(server, *items)
    remote.sync()
    report = remote.report
    assert (
        report["listed"]
        == len(items)
        == report["taken"] + report["left_out"]["count"] + report["refused"]["count"]
    )
    kinds = Counter(item["kind"].lower() for item in items)
    assert {row["kind"]: row["taken"] + row["left_out"] + row["refused"] for row in report["kinds"]} == kinds
    assert report["refused"]["examples"] == []
    # Stock cannot show this entity, which has two keys that differ in case only, yet shows what it declares on others.
    hidden = "component:default/same-key-case"
    assert {one["target"] for one in report["lost_relations"]["examples"]} == {hidden}
    for item in items:
        if ref_of(item) in remote.refs:
            ours = document(ref_of(item))
            shown = [relation for relation in item["relations"] if relation["targetRef"] != hidden]
            assert (ours["kind"], ours.get("spec"), ours["relations"]) == (
                item["kind"],
                item.get("spec"),
                shown,
            )
    assert remote.sync().state == Sync.State.UNCHANGED
    assert RemoteEntry.objects.unrestricted("test").count() == len(items)
    assert_catalog_is_consistent()
