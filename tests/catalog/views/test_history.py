"""History as people and clients see it: the tab, all versions, an entity and a list at a moment."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import Entity, Revision
from catalog.presenters.history import moment_text
from catalog.services.publishing import remove_entity
from tests.factories.access import StaffFactory, UserFactory
from tests.factories.sources import SYSTEM, Folder, component, entity

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.req("R033")]

SHOP = "component:default/shop"
PAGE = "/catalog/default/component/shop/"
API = "/api/catalog/v1/entities/component/default/shop"


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = (tmp_path,)
    return Folder(tmp_path / "company")


@pytest.fixture
def member() -> Client:
    client = Client()
    client.force_login(UserFactory())
    return client


@pytest.fixture
def shop(folder: Folder) -> Entity:
    """A component of three versions: created, described, owned by somebody else."""
    folder.write("till.yaml", component("till"))
    folder.write("shop.yaml", component("shop", owner="one", dependsOn="[component:till]"))
    folder.sync()
    folder.write("shop.yaml", component("shop", owner="one", extra="title: The shop"))
    folder.sync()
    folder.write("shop.yaml", component("shop", owner="two", extra="title: The shop"))
    folder.sync()
    return entity(SHOP)


def first(entity: Entity) -> Revision:
    return Revision.objects.unrestricted("test").get(uid=entity.uid, number=1)


def test_the_tab_lists_every_version_with_what_it_changed_and_where_it_came_from(
    member: Client, shop: Entity
) -> None:
    text = member.get(f"{PAGE}history/").content.decode()
    for shown in (
        "Version 3, the present one",
        "Version 2",
        "Version 1",
        "Created",
        "spec.owner",
        "metadata.title",
    ):
        assert shown in text
    assert "<del>one</del>" in text and "<ins>two</ins>" in text
    assert "folder" in text


def test_an_entity_at_a_moment_shows_what_it_said_and_its_relations_of_then(
    member: Client, shop: Entity
) -> None:
    at = moment_text(first(shop).since)
    page = member.get(PAGE, {"at": at})
    text = page.content.decode()
    assert page.status_code == 200
    assert "Depends on" in text
    assert "Changed since" in text
    assert "Later" in text and "Earlier" not in text
    assert "/catalog/default/component/till/" in text
    assert "/catalog/default/component/till/" not in member.get(PAGE).content.decode()


def test_an_entity_before_it_was_there_is_not_found(member: Client, shop: Entity) -> None:
    before = moment_text(shop.created_at - timedelta(seconds=1))
    assert member.get(PAGE, {"at": before}).status_code == 404
    assert member.get(f"{API}/at", {"time": before}).status_code == 404


@pytest.mark.parametrize("at", ["yesterday", "2026-13-01", "2026-11-20T99:00", "''", "1"])
def test_a_moment_that_is_none_is_refused_with_an_example(member: Client, at: str) -> None:
    answer = member.get(f"{API}/at", {"time": at}).json()["error"]
    assert (answer["name"], answer["code"]) == ("InputError", "catalog.at")
    assert "2026-11-20" in answer["remedy"]
    assert member.get("/catalog/", {"at": at}).status_code == 400


def test_a_moment_to_come_is_now(member: Client, shop: Entity) -> None:
    assert b"As it was" not in member.get("/catalog/", {"at": "2999-01-01"}).content.replace(
        b"as it was on", b""
    )
    assert member.get(PAGE, {"at": "2999-01-01"}).status_code == 200


def test_a_list_at_a_moment_has_the_rows_titles_and_counts_of_then_and_keeps_the_moment_in_its_links(
    member: Client, shop: Entity
) -> None:
    at = moment_text(first(shop).since)
    text = member.get(
        "/catalog/", {"kind": "component", "owner": "group:default/one", "at": at}
    ).content.decode()
    assert "1 in all" in text
    assert ">shop<" in text and "The shop" not in text
    assert f"{PAGE}?at=" in text
    assert text.count("at=20") > 5
    assert "As it is now" in text
    now = member.get("/catalog/", {"kind": "component", "owner": "group:default/one"}).content.decode()
    assert "Nothing matches" in now


def test_a_list_at_a_moment_takes_at_most_twelve_statements(member: Client, shop: Entity) -> None:
    at = moment_text(first(shop).since)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert member.get("/catalog/", {"at": at, "owner": "group:default/one"}).status_code == 200
    # Inside of a test's transaction rules are read anew.
    assert len(queries) <= 12 + 1, "\n".join(q["sql"][:90] for q in queries)


@pytest.mark.parametrize("address", [f"{PAGE}history/", f"{PAGE}?at=NOW"])
def test_history_takes_at_most_twelve_statements(member: Client, shop: Entity, address: str) -> None:
    address = address.replace("NOW", moment_text(first(shop).since))
    with CaptureQueriesContext(connection) as queries:
        assert member.get(address).status_code == 200
    # Inside of a test's transaction rules are read anew.
    assert len(queries) <= 12 + 1, "\n".join(q["sql"][:90] for q in queries)


def test_versions_of_a_removed_entity_say_how_it_ended(member: Client, shop: Entity) -> None:
    remove_entity(actor=SYSTEM, uid=str(shop.uid))
    gone = member.get(PAGE)
    assert gone.status_code == 410
    assert f"/catalog/versions/{shop.uid}/".encode() in gone.content
    text = member.get(f"/catalog/versions/{shop.uid}/").content.decode()
    assert "Deleted by hand" in text and "Version 3" in text
    listed = member.get(f"{API}/revisions").json()["items"]
    assert next((v["number"], v["end"], v["endedBy"]) for v in listed) == (3, "deleted", SYSTEM.actor)


def test_an_earlier_bearer_of_a_name_has_a_history_of_its_own(
    member: Client, folder: Folder, shop: Entity
) -> None:
    remove_entity(actor=SYSTEM, uid=str(shop.uid))
    folder.sync(force=True)
    assert entity(SHOP).uid != shop.uid
    text = member.get(f"{PAGE}history/").content.decode()
    assert "Another entity of this name" in text and str(shop.uid) in text
    assert len(member.get(f"{API}/revisions").json()["items"]) == 1
    assert len(member.get(f"{API}/revisions", {"uid": str(shop.uid)}).json()["items"]) == 3


def test_many_versions_come_in_pages_that_leave_none_out(member: Client, folder: Folder) -> None:
    for number in range(46):
        folder.write("shop.yaml", component("shop", extra=f"title: Shop {number}"))
        folder.sync()
    numbers: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = member.get(f"{API}/revisions", {"limit": 10, **cursor}).json()
        numbers += [version["number"] for version in page["items"]]
        if "nextCursor" not in page["pageInfo"]:
            break
        cursor = {"cursor": page["pageInfo"]["nextCursor"]}
    assert numbers == list(range(46, 0, -1))
    uid = entity(SHOP).uid
    tab = member.get(f"{PAGE}history/").content.decode()
    assert "Version 27" in tab and "Version 26<" not in tab and f"/catalog/versions/{uid}/?before=27" in tab
    last = member.get(f"/catalog/versions/{uid}/?before=7").content.decode()
    assert "Version 6<" in last and "Version 1<" in last and "Created" in last
    assert member.get(f"/catalog/versions/{uid}/?before=x").status_code == 400


def test_where_earlier_versions_are_not_kept_the_last_one_says_so(member: Client, shop: Entity) -> None:
    first(shop).delete()
    text = member.get(f"{PAGE}history/").content.decode()
    assert "What came before is not kept any more" in text
    assert "Created" not in text


def test_versions_and_their_differences_over_rest(member: Client, shop: Entity) -> None:
    versions = member.get(f"{API}/revisions").json()["items"]
    assert [v["number"] for v in versions] == [3, 2, 1]
    assert versions[0]["until"] is None and versions[1]["until"] == versions[0]["since"]
    assert versions[0]["source"] == str(shop.source_id)
    second = member.get(f"{API}/revisions/2").json()
    assert (second["entity"]["spec"]["owner"], second["etag"]) == (
        "one",
        second["entity"]["metadata"]["etag"],
    )
    diff = member.get(f"{API}/revisions/3/diff").json()
    assert diff["changes"] == [
        {"path": ["spec", "owner"], "field": "spec.owner", "kind": "changed", "old": "one", "new": "two"}
    ]
    whole = member.get(f"{API}/revisions/3/diff", {"from": 1}).json()["changes"]
    assert {c["field"] for c in whole} == {"metadata.title", "spec.owner", "spec.dependsOn"}
    assert member.get(f"{API}/revisions/9").status_code == 404
    assert member.get(f"{API}/revisions", {"limt": 5}).json()["error"]["code"] == "api.parameter.unknown"
    assert member.get(f"{API}/revisions", {"limit": 500}).status_code == 400
    assert member.get(f"{API}/revisions", {"cursor": "x"}).status_code == 400


def test_the_document_of_a_moment_over_rest_has_the_relations_of_then(member: Client, shop: Entity) -> None:
    found = member.get(f"{API}/at", {"time": moment_text(first(shop).since)}).json()
    assert {"type": "dependsOn", "targetRef": "component:default/till"} in found["entity"]["relations"]
    till = member.get(
        "/api/catalog/v1/entities/component/default/till/at", {"time": moment_text(first(shop).since)}
    ).json()
    assert {"type": "dependencyOf", "targetRef": SHOP} in till["entity"]["relations"]
    now = member.get("/api/catalog/entities/by-name/component/default/till").json()
    assert {"type": "dependencyOf", "targetRef": SHOP} not in now["relations"]


def test_a_renamed_entity_is_found_at_a_moment_under_either_name(member: Client, folder: Folder) -> None:
    own = "title: The shop\nlabels: {quay: north}"
    folder.write("shop.yaml", component("shop", extra=own))
    folder.sync()
    then = moment_text(timezone.now())
    folder.write("shop.yaml", component("store", extra=own))
    folder.sync()
    for name in ("shop", "store"):
        found = member.get(f"/api/catalog/v1/entities/component/default/{name}/at", {"time": then}).json()
        assert found["entityRef"] == SHOP
    text = member.get("/catalog/default/component/store/history/").content.decode()
    assert "Renamed from component:default/shop" in text


def test_nobody_without_sign_in_sees_history(shop: Entity) -> None:
    assert Client().get(f"{API}/revisions").status_code == 401
    assert Client().get(f"/catalog/versions/{shop.uid}/").status_code == 302


def test_admin_shows_revisions_to_curators(shop: Entity) -> None:
    curator = Client()
    curator.force_login(StaffFactory())
    assert curator.get("/admin/catalog/revision/").status_code == 200
    row = first(shop)
    assert b"spec" in curator.get(f"/admin/catalog/revision/{row.pk}/change/").content


def test_a_list_of_a_moment_over_rest_has_documents_and_relations_of_then(
    member: Client, shop: Entity
) -> None:
    at = moment_text(first(shop).since)
    page = member.get("/api/catalog/v1/entities", {"kind": "component", "at": at, "limit": 1}).json()
    assert page["totalItems"] == 2
    rest = member.get(
        "/api/catalog/v1/entities",
        {"kind": "component", "at": at, "limit": 1, "cursor": page["pageInfo"]["nextCursor"]},
    ).json()
    found = {e["metadata"]["name"]: e for e in [*page["items"], *rest["items"]]}
    assert found["shop"]["spec"]["owner"] == "one" and "title" not in found["shop"]["metadata"]
    assert {"type": "dependencyOf", "targetRef": SHOP} in found["till"]["relations"]


@pytest.mark.parametrize("more", [{"state": "missing"}, {"fresh": "stale"}, {"format": "csv"}])
def test_what_is_not_kept_of_the_past_is_refused_over_rest(member: Client, shop: Entity, more: Any) -> None:
    answer = member.get("/api/catalog/v1/entities", {"at": "2026-01-01", **more})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "api.parameter.unfit")


def test_an_earlier_version_of_what_is_kept_here_is_written_again_by_curators(member: Client) -> None:
    curator = Client()
    curator.force_login(StaffFactory())
    for title in ("First", "Second"):
        document = {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Component",
            "metadata": {"name": "shop", "title": title},
            "spec": {"type": "service", "lifecycle": "production", "owner": "team"},
        }
        match = {"If-Match": "*"} if title == "Second" else {}
        answer = curator.put(API, document, content_type="application/json", headers=match)
        assert answer.status_code in (200, 201), answer.content
    shop = entity(SHOP)
    address = f"/catalog/versions/{shop.uid}/1/restore/"
    then = {"at": moment_text(first(shop).since)}
    assert address.encode() in curator.get(PAGE, then).content
    assert address.encode() not in member.get(PAGE, then).content
    assert member.post(address).status_code == 403
    assert curator.post(address)["Location"] == PAGE
    again = entity(SHOP)
    assert (again.uid, again.revision, again.label) == (shop.uid, 3, "first")


def test_what_a_source_declares_is_not_written_again_and_the_page_says_why(shop: Entity) -> None:
    curator = Client()
    curator.force_login(StaffFactory())
    page = curator.get(PAGE, {"at": moment_text(first(shop).since)}).content.decode()
    assert "put the old text back into its file" in page and "/restore/" not in page
    answer = curator.post(f"/catalog/versions/{shop.uid}/1/restore/")
    assert answer.status_code == 409
    assert entity(SHOP).revision == shop.revision


def test_a_file_that_only_went_elsewhere_is_a_move_and_no_changed_field(
    member: Client, folder: Folder
) -> None:
    folder.write("shop.yaml", component("shop"))
    folder.sync()
    folder.remove("shop.yaml")
    folder.write("moved.yaml", component("shop"))
    folder.sync()
    text = member.get(f"{PAGE}history/").content.decode()
    assert "<strong>Moved</strong>" in text
    assert "field changed</strong>" not in text
