"""Writing entities over REST: what is stored, what is refused and how, and what an answer costs."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from catalog.models import Entity, KeptDocument, Revision, Tombstone
from portal.audit.models import AuditEvent
from portal.events.models import Event
from tests.catalog.services.test_publishing_races import run_waiting_jobs
from tests.factories.access import UserFactory
from tests.factories.managed import Api, error, written
from tests.factories.sources import (
    assert_catalog_is_consistent,
    document,
    entity,
    exists,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.req("R022")]

SHOP = "component/default/shop"
REF = "component:default/shop"
ACTOR = "user:maren (token cb_writer)"


@pytest.fixture
def api() -> Api:
    return Api()


def versions(ref: str = REF) -> list[int]:
    uid = entity(ref).uid
    return sorted(Revision.objects.unrestricted("test").filter(uid=uid).values_list("number", flat=True))


def events() -> list[tuple[str, str]]:
    rows = Event.objects.unrestricted("test").order_by("pk")
    return list(rows.values_list("type", "subject"))


# --- PUT


def test_a_put_creates_an_entity_that_a_stock_client_reads(api: Api) -> None:
    answer = api.put(SHOP, written("shop", title="The shop"))
    assert answer.status_code == 201
    assert answer["Location"] == "http://127.0.0.1:8000/api/catalog/v1/entities/component/default/shop"
    body = answer.json()
    assert (body["outcome"], body["revision"], body["source"], body["warnings"]) == (
        "created",
        1,
        "Callboard",
        [],
    )
    found = api.get(f"/api/catalog/entities/by-name/{SHOP}").json()
    assert found == body["entity"]
    place = f"url:{answer['Location']}"
    assert found["metadata"]["annotations"] == {
        "backstage.io/managed-by-location": place,
        "backstage.io/managed-by-origin-location": place,
    }
    assert {"type": "ownedBy", "targetRef": "group:default/platform"} in found["relations"]
    stored = entity(REF)
    assert (stored.source.name, stored.source.type, stored.revised_by) == ("Callboard", "managed", ACTOR)
    assert answer["ETag"] == f'"{stored.etag}"'
    assert_catalog_is_consistent()


def test_the_same_put_again_changes_nothing_and_needs_no_condition(api: Api) -> None:
    first = api.put(SHOP, written("shop"))
    before = (events(), AuditEvent.objects.unrestricted("test").count())
    again = api.put(SHOP, written("shop"))
    assert (again.status_code, again.json()["outcome"], again["ETag"]) == (200, "unchanged", first["ETag"])
    assert (events(), AuditEvent.objects.unrestricted("test").count()) == before
    assert versions() == []


def test_what_was_read_can_be_sent_back_as_it_is(api: Api) -> None:
    api.put(SHOP, written("shop", annotations={"example.org/page": "x"}))
    read = api.get(SHOP)
    again = api.put(SHOP, read.json())
    assert (again.status_code, again.json()["outcome"]) == (200, "unchanged")
    changed = {**read.json(), "spec": {**read.json()["spec"], "lifecycle": "deprecated"}}
    answer = api.put(SHOP, changed, if_match=read["ETag"])
    assert (answer.status_code, answer.json()["outcome"], answer.json()["revision"]) == (200, "changed", 2)
    assert versions() == [1]
    kept = KeptDocument.objects.unrestricted("test").get()
    assert "managed-by" not in kept.text and '"relations"' not in kept.text
    assert_catalog_is_consistent()


def test_a_change_without_condition_is_asked_for_one_and_told_the_present_etag(api: Api) -> None:
    first = api.put(SHOP, written("shop"))
    refused = error(api.put(SHOP, written("shop", title="Other")), 428)
    assert f'"{refused["etag"]}"' == first["ETag"]
    assert api.put(SHOP, written("shop", title="Other"), if_match=first["ETag"]).status_code == 200
    stale = error(api.put(SHOP, written("shop", title="Third"), if_match=first["ETag"]), 412)
    assert stale["etag"] == entity(REF).etag
    assert document(REF)["metadata"]["title"] == "Other"
    assert api.put(SHOP, written("shop", title="Third"), if_match="*").status_code == 200


def test_only_creating_is_a_condition_too(api: Api) -> None:
    assert api.put(SHOP, written("shop"), if_none_match="*").status_code == 201
    error(api.put(SHOP, written("shop"), if_none_match="*"), 412)
    gone = error(api.put("component/default/till", written("till"), if_match='"abc"'), 412)
    assert gone["etag"] is None
    assert api.put(SHOP, written("shop"), if_match="abc").status_code == 400


def test_everything_that_is_wrong_is_told_at_once(api: Api) -> None:
    wrong = {
        **written("shop", tags=["Not A Tag"]),
        "spec": {"type": "service"},
        "apiVersion": "backstage.io/v1alpha1",
    }
    found = error(api.put(SHOP, wrong), 400)
    rules = {problem["rule"] for problem in found["problems"]}
    assert {"catalog.format.tag", "catalog.schema.required"} <= rules
    assert all(problem["message"] and problem["path"] for problem in found["problems"])
    assert not exists(REF)
    assert not KeptDocument.objects.unrestricted("test").exists()


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (written("till"), "catalog.write.name"),
        ({**written("shop"), "kind": "API", "spec": {"type": "x", "lifecycle": "y", "owner": "z", "definition": "d"}},
         "catalog.write.name"),
        (written("shop", namespace="other"), "catalog.write.name"),
        ({**written("shop"), "spec": {"type": {"$text": "/etc/passwd"}}}, "catalog.placeholder.unreadable"),
        ({**written("shop"), "spec": {"type": {"$text": "https://example.org/x"}}}, "catalog.placeholder.unreadable"),
        ({**written("shop"), "kind": "Location", "spec": {"target": "https://x.example"}}, "catalog.write.location"),
        ({**written("shop"), "kind": "User", "spec": {}}, "catalog.kind.not-allowed"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_here_is_refused_with_the_rule(api: Api, body: dict[str, Any], rule: str) -> None:
    kind = "user" if body["kind"] == "User" else "component"
    found = error(api.put(f"{kind}/default/shop", body), 400)
    assert rule in {problem["rule"] for problem in found["problems"]}
    assert not Entity.objects.unrestricted("test").exists()


def test_nothing_is_read_for_a_placeholder_and_the_remedy_says_what_to_write(api: Api) -> None:
    body = {**written("shop"), "spec": {**written("shop")["spec"], "type": {"$text": "./secret"}}}
    found = error(api.put(SHOP, body), 400)
    assert "reads no files" in found["message"]
    assert "Write the text itself" in found["remedy"]


@pytest.mark.parametrize("body", [b"[1]", b'"x"', b"{", b"\xff", b'{"kind": NaN}'])
def test_what_is_no_object_is_refused(api: Api, body: bytes) -> None:
    assert api.put(SHOP, body).status_code == 400


def test_a_body_larger_than_a_file_may_be_is_refused(api: Api, settings: Any) -> None:
    settings.CALLBOARD_MAX_FILE_BYTES = 300
    for method in ("PUT", "PATCH"):
        answer = api.send(method, SHOP, written("shop", title="x" * 300))
        assert error(answer, 400)["code"] == "too-large"


def test_an_unknown_parameter_is_an_error(api: Api) -> None:
    for method in ("PUT", "PATCH", "DELETE", "GET"):
        answer = api.send(method, f"{SHOP}?force=true", written("shop"))
        assert error(answer, 400)["code"] == "api.parameter.unknown", method


def test_a_uid_of_another_entity_is_refused(api: Api) -> None:
    api.put(SHOP, written("shop"))
    read = api.get(SHOP).json()
    api.delete(SHOP, if_match="*")
    api.put(SHOP, written("shop", title="another"))
    assert error(api.put(SHOP, read, if_match="*"), 409)["code"] == "catalog.write.uid"


def test_each_write_is_one_version_one_event_and_one_audit_record(api: Api) -> None:
    api.put(SHOP, written("shop"))
    api.patch(SHOP, {"metadata": {"title": "A"}})
    api.put(SHOP, written("shop", title="B"), if_match="*")
    api.delete(SHOP, if_match="*")
    assert [e for e in events() if e[0].startswith("catalog.entity")] == [
        ("catalog.entity.created", REF),
        ("catalog.entity.changed", REF),
        ("catalog.entity.changed", REF),
        ("catalog.entity.removed", REF),
    ]
    rows = Revision.objects.unrestricted("test").filter(ref=REF).order_by("number")
    assert list(rows.values_list("number", "end", "actor")) == [
        (1, "changed", ACTOR),
        (2, "changed", ACTOR),
        (3, "deleted", ACTOR),
    ]
    audit = AuditEvent.objects.unrestricted("test").filter(verb__startswith="catalog.entity").order_by("pk")
    assert [a.verb.rpartition(".")[2] for a in audit] == ["written", "written", "written", "removed"]
    assert audit[1].before["etag"] == audit[0].after["etag"] != audit[1].after["etag"]


# --- GET


def test_a_reader_who_knows_the_version_gets_no_body(api: Api) -> None:
    etag = api.put(SHOP, written("shop"))["ETag"]
    for known in (etag, f'W/{etag}, "x"', "*"):
        answer = api.get(SHOP, if_none_match=known)
        assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", etag)
    assert api.get(SHOP, if_none_match='"x"').status_code == 200
    assert api.get("Component/DEFAULT/Shop").status_code == 200
    assert api.get("component/default/nobody").status_code == 404
    assert api.get("component/default/no%00body").status_code == 404


# --- PATCH


def test_a_patch_changes_what_it_names(api: Api) -> None:
    api.put(SHOP, written("shop", title="Shop", tags=["a", "b"], labels={"x": "1", "y": "2"}))
    patch = {"metadata": {"title": None, "tags": ["c"], "labels": {"x": None, "z": "3"}}}
    answer = api.patch(SHOP, patch, type="application/merge-patch+json")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "changed")
    metadata = document(REF)["metadata"]
    assert "title" not in metadata
    assert (metadata["tags"], metadata["labels"]) == (["c"], {"y": "2", "z": "3"})
    assert api.patch(SHOP, patch).json()["outcome"] == "unchanged"
    assert_catalog_is_consistent()


def test_a_patch_holds_its_condition_and_refuses_what_the_catalog_fills_in(api: Api) -> None:
    error(api.patch(SHOP, {"metadata": {"title": "x"}}, if_match="*"), 412)
    assert api.patch(SHOP, {"metadata": {"title": "x"}}).status_code == 404
    api.put(SHOP, written("shop"))
    error(api.patch(SHOP, {"metadata": {"title": "x"}}, if_match='"x"'), 412)
    for patch in (
        {"relations": []},
        {"metadata": {"uid": "x"}},
        {"metadata": {"annotations": {"backstage.io/orphan": "true"}}},
    ):
        assert error(api.patch(SHOP, patch), 400)["code"] == "catalog.write.system-field"
    assert error(api.patch(SHOP, {"spec": {"owner": None}}), 400)["problems"]
    assert error(api.patch(SHOP, {"metadata": {"name": "till"}}), 400)["code"] == "catalog.write.name"
    assert versions() == []


# --- DELETE and its way back


def test_a_deleted_entity_leaves_a_tombstone_that_brings_back_what_was_kept(api: Api) -> None:
    api.put(SHOP, written("shop", title="Shop"))
    uid = entity(REF).uid
    error(api.delete(SHOP), 428)
    error(api.delete(SHOP, if_match='"x"'), 412)
    answer = api.delete(SHOP, if_match=api.get(SHOP)["ETag"])
    assert answer.json()["outcome"] == "deleted"
    assert answer.json()["uid"] == str(uid)
    assert not exists(REF)
    assert not KeptDocument.objects.unrestricted("test").exists()
    assert Tombstone.objects.unrestricted("test").get().actor == ACTOR
    assert api.delete(SHOP, if_match="*").status_code == 412
    assert api.delete(SHOP).status_code == 404
    assert api.post(f"{SHOP}/restore").json() == {"outcome": "restored", "ref": REF, "uid": str(uid)}
    back = entity(REF)
    assert (back.uid, back.state, back.source.name, back.revision) == (
        uid,
        Entity.State.ACTIVE,
        "Callboard",
        2,
    )
    assert "backstage.io/orphan" not in document(REF)["metadata"]["annotations"]
    assert api.patch(SHOP, {"metadata": {"title": "Shop"}}).json()["outcome"] == "unchanged"
    assert api.post(f"{SHOP}/restore").status_code == 404
    assert_catalog_is_consistent()


def test_what_was_deleted_on_the_path_of_stock_stays_deleted(api: Api) -> None:
    api.put(SHOP, written("shop"))
    uid = entity(REF).uid
    assert api.send("DELETE", f"/api/catalog/entities/by-uid/{uid}").status_code == 204
    run_waiting_jobs()
    assert not exists(REF)


# --- who, how often, at once


def test_who_may_not_curate_reads_and_writes_nothing() -> None:
    Api().put(SHOP, written("shop"))
    member = Api(UserFactory(username="elif"), text="cb_member")
    assert member.get(SHOP).status_code == 200
    for answer in (
        member.put(SHOP, written("shop", title="x"), if_match="*"),
        member.patch(SHOP, {}),
        member.delete(SHOP, if_match="*"),
        member.post(f"{SHOP}/rename", {"name": "x"}),
        member.post(f"{SHOP}/restore"),
        member.post(f"{SHOP}/revisions/1/restore"),
    ):
        assert error(answer, 403)["code"] == "access.write.denied"


def test_a_read_and_a_write_cost_few_statements(api: Api) -> None:
    api.put(SHOP, written("shop"))
    api.get(SHOP)

    def cost(method: str, body: Any = None, **headers: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert api.send(method, SHOP, body, **headers).status_code == 200
        return len(queries)

    assert cost("GET") <= 4
    assert cost("PUT", written("shop")) <= 16
    assert cost("PUT", written("shop", title="B"), if_match="*") <= 60


@pytest.mark.parametrize("first", [True, False])
def test_of_writers_who_have_seen_the_same_version_one_wins(api: Api, first: bool) -> None:
    headers = {"if_none_match": "*"}
    if not first:
        headers = {"if_match": api.put(SHOP, written("shop", title="start"))["ETag"]}
    else:
        api.put("component/default/till", written("till"))
    barrier, statuses = threading.Barrier(6), []

    def write(number: int) -> None:
        try:
            barrier.wait(20)
            statuses.append(api.put(SHOP, written("shop", title=f"by {number}"), **headers).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(statuses) == [201 if first else 200, *[412] * 5]
    assert versions() == ([] if first else [1])
    assert_catalog_is_consistent()
