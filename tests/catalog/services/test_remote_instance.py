"""Another instance as a source: a second one in processes of its own, of which only stock's paths can be reached."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from catalog.ingest.sources import remote as remote_module
from catalog.models import Contender, Entity, Source, Sync
from catalog.services.kinds import switch_kind_version
from catalog.services.publishing import remove_entity
from catalog.services.sources import delete_source, update_source
from portal.access.models import Principal
from tests.catalog.second import Second, second_instance
from tests.factories.access import UserFactory
from tests.factories.remote import VARIABLE, Remote
from tests.factories.sources import (
    SYSTEM,
    Folder,
    assert_catalog_is_consistent,
    component,
    document,
    entity,
    exists,
    location,
    shown_relations,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.req("R032")]

GROUP = "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata:\n  name: {}\nspec:\n  type: team\n  children: []\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Second]:
    with second_instance(tmp_path_factory.mktemp("second")) as second:
        yield second


@pytest.fixture
def second(running: Second, monkeypatch: pytest.MonkeyPatch) -> Second:
    monkeypatch.setenv(VARIABLE, running.token)
    monkeypatch.setattr(remote_module, "PAGE", 5)  # several pages for a few entities
    running.clear()
    return running


def test_entities_of_several_pages_are_taken_with_their_relations_and_links_to_the_code(
    second: Second,
) -> None:
    view = "backstage.io/view-url: https://git.example.org/shop/catalog-info.yaml"
    second.write("many.yaml", *(component(f"service-{n}") for n in range(12)))
    second.write(
        "odd.yaml",
        component(
            "Shop",
            extra=f"annotations:\n  {view}\n  backstage.io/techdocs-ref: dir:.",
            dependsOn="[component:service-1]",
        ),
        GROUP.format("platform"),
    )
    second.read()
    remote = Remote(second.base, view_url="https://second.example.org")
    sync = remote.sync()

    assert (sync.state, sync.added) == (Sync.State.DONE, 15)
    assert remote.refs == {
        "component:default/shop",
        "group:default/platform",
        *(f"component:default/service-{n}" for n in range(12)),
    }
    assert ("dependencyOf", "component:default/shop") in shown_relations("component:default/service-1")
    assert ("ownerOf", "component:default/service-3") in shown_relations("group:default/platform")
    shop, theirs = document("component:default/shop"), second.get("/entities/by-name/component/default/shop")
    assert shop["metadata"]["name"] == "Shop"
    annotations = shop["metadata"]["annotations"]
    assert annotations["backstage.io/managed-by-location"] == f"url:{second.base}"
    assert annotations["backstage.io/managed-by-origin-location"] == f"url:{second.base}"
    assert annotations["backstage.io/view-url"] == "https://git.example.org/shop/catalog-info.yaml"
    assert annotations["backstage.io/techdocs-ref"] == "dir:."
    assert shop["metadata"]["uid"] != theirs["metadata"]["uid"]
    assert shop["relations"] == theirs["relations"]
    plain = document("component:default/service-1")["metadata"]["annotations"]
    assert plain["backstage.io/view-url"] == "https://second.example.org/catalog/default/component/service-1"
    report = remote.report
    assert report["pages"] == 3  # 14 entities and a Location, five a page
    assert (report["complete"], report["taken"]) == (True, 14)
    assert report["lost_relations"]["count"] == 0
    assert report["left_out"]["count"] == 1  # the Location of the folder there
    assert_catalog_is_consistent()


def test_a_reading_of_nothing_new_costs_the_listing_only_and_one_of_a_change_that_entity(
    second: Second,
) -> None:
    second.write("many.yaml", *(component(f"service-{n}") for n in range(12)))
    second.read()
    remote = Remote(second.base)
    remote.sync()
    first = {ref: entity(ref).etag for ref in remote.refs}
    unchanged = remote.sync()
    assert unchanged.state == Sync.State.UNCHANGED
    report = remote.report
    assert report["requests"] == report["pages"] == 3
    assert report["kinds"][0] | {"unchanged": 12, "taken": 12} == report["kinds"][0]
    assert report["locations"]["count"] == 2, "what the first reading was told is still said"

    second.write(
        "many.yaml", *(component(f"service-{n}", "changed" if n == 4 else "platform") for n in range(12))
    )
    second.read()
    sync = remote.sync()
    assert (sync.added, sync.changed, sync.removed) == (0, 1, 0)
    assert remote.report["fetched"] == 1
    assert entity("component:default/service-4").owner_ref == "group:default/changed"
    assert {ref for ref in remote.refs if entity(ref).etag != first[ref]} == {"component:default/service-4"}
    assert remote.sync().state == Sync.State.UNCHANGED
    assert_catalog_is_consistent()


def test_what_is_gone_there_goes_and_what_is_deleted_here_by_hand_comes_back(
    second: Second, client: Client
) -> None:
    second.write("a.yaml", component("stays"), component("also"))
    second.write("b.yaml", component("goes"))
    second.read()
    remote = Remote(second.base)
    remote.sync()
    second.remove("b.yaml")
    second.read()
    sync = remote.sync()
    assert (sync.removed, remote.report["gone"]) == (1, 1)
    assert remote.refs == {"component:default/stays", "component:default/also"}
    assert "component:default/goes" not in remote.outcomes

    remove_entity(actor=SYSTEM, uid=str(entity("component:default/also").uid))
    assert not exists("component:default/also")
    assert remote.sync().added == 1
    assert exists("component:default/also")


def test_removals_of_many_at_once_wait_for_a_decision(second: Second, settings: Any) -> None:
    settings.CALLBOARD_REMOVAL_LEAST = 3
    second.write("a.yaml", *(component(f"service-{n}") for n in range(6)))
    second.read()
    remote = Remote(second.base)
    remote.sync()
    second.clear()
    second.read()
    sync = remote.sync()
    assert sync.removed == 0
    assert "catalog.removal.held" in remote.problems
    assert entity("component:default/service-1").state == Entity.State.MISSING
    second.write("a.yaml", *(component(f"service-{n}") for n in range(6)))
    second.read()
    remote.sync()
    assert entity("component:default/service-1").state == Entity.State.ACTIVE
    assert "catalog.removal.held" not in remote.problems


def test_a_filter_takes_a_part_and_says_which_relations_lead_out_of_it(second: Second) -> None:
    second.write("a.yaml", component("shop", dependsOn="[resource:default/db]"), GROUP.format("platform"))
    second.read()
    remote = Remote(second.base, pattern="kind=group&filter=kind=location,metadata.name=none")
    remote.sync()
    assert remote.refs == {"group:default/platform"}
    lost = remote.report["lost_relations"]
    assert (lost["count"], lost["types"]) == (1, {"ownerOf": 1})
    assert lost["examples"][0]["target"] == "component:default/shop"
    assert "not taken" in lost["examples"][0]["reason"]

    remote.source = update_source(actor=SYSTEM, source=remote.source, changes={"pattern": "kind=component"})
    remote.sync()
    assert remote.refs == {"component:default/shop"}


def test_kinds_that_may_not_come_are_refused_and_reported_and_come_once_they_may(second: Second) -> None:
    second.write("a.yaml", component("shop"), GROUP.format("platform"))
    second.read()
    remote = Remote(second.base, allowed_kinds=["Component"])
    remote.sync()
    assert remote.refs == {"component:default/shop"}
    assert remote.report["refused"]["examples"][0]["ref"] == "group:default/platform"
    assert "catalog.kind.not-allowed" in remote.problems
    assert remote.sync().state == Sync.State.UNCHANGED
    assert "catalog.kind.not-allowed" in remote.problems, "a problem of what was not read again stays"

    remote.source = update_source(
        actor=SYSTEM, source=remote.source, changes={"allowed_kinds": ["Component", "Group"]}
    )
    remote.sync()
    assert "group:default/platform" in remote.refs
    assert "catalog.kind.not-allowed" not in remote.problems


def test_a_kind_that_is_not_known_here_is_a_problem_that_ends_with_the_kind(second: Second) -> None:
    second.write("a.yaml", component("shop"), GROUP.format("platform"))
    second.read()
    remote = Remote(second.base)
    remote.sync()
    switch_kind_version(actor=SYSTEM, kind="Group", spec_type="", enabled=False)
    remote.sync()
    assert remote.report["refused"]["examples"][0]["ref"] == "group:default/platform"
    assert (
        "No processor recognized the entity group:default/platform" in remote.problems["catalog.kind.unknown"]
    )
    assert exists("group:default/platform"), "its last good version stays"
    switch_kind_version(actor=SYSTEM, kind="Group", spec_type="", enabled=True)
    remote.sync()
    assert remote.report["refused"]["count"] == 0
    assert not entity("group:default/platform").has_errors


def test_problems_of_entities_that_are_not_read_again_stay(second: Second) -> None:
    second.write("a.yaml", component("odd", extra="annotations:\n  example.org/unheard-of: x"))
    second.write("b.yaml", component("other"))
    second.read()
    remote = Remote(second.base)
    remote.sync()
    assert "catalog.annotation.unknown" in remote.problems
    second.write("b.yaml", component("other", "changed"))
    second.read()
    assert remote.sync().changed == 1
    assert "catalog.annotation.unknown" in remote.problems


def test_a_wrong_token_names_the_connection_and_what_to_do_and_costs_nothing(
    second: Second, monkeypatch: pytest.MonkeyPatch
) -> None:
    second.write("a.yaml", component("shop"))
    second.read()
    remote = Remote(second.base)
    remote.sync()
    monkeypatch.setenv(VARIABLE, "cb_wrong")
    sync = remote.sync()
    assert sync.state == Sync.State.FAILED
    assert "refuses the credential of the connection second (status 401)" in sync.error
    assert "refuses the credential" in remote.problems["catalog.remote.credential"]
    assert entity("component:default/shop").state == Entity.State.MISSING
    assert remote.report["complete"] is False

    monkeypatch.setenv(VARIABLE, second.token)
    remote.sync()
    assert entity("component:default/shop").state == Entity.State.ACTIVE
    assert "catalog.remote.credential" not in remote.problems


def test_people_of_another_instance_count_for_permissions_only_where_the_source_may_define_them(
    second: Second,
) -> None:
    second.write("a.yaml", GROUP.format("platform"))
    second.read()
    remote = Remote(second.base)
    remote.sync()
    rows = Principal.objects.unrestricted("test").filter(ref="group:default/platform")
    assert not rows.exists()
    remote.source = update_source(actor=SYSTEM, source=remote.source, changes={"may_define_people": True})
    remote.sync(force=True)
    assert rows.exists()


def test_migrating_registers_what_is_registered_there_and_takes_over_under_the_same_uid(
    second: Second,
) -> None:
    second.write("a.yaml", component("shop"), component("other"))
    second.read()
    remote = Remote(second.base)
    remote.sync()

    shown = json.loads(_command("source", "migrate", "second", "--json"))
    assert [move["outcome"] for move in shown["moves"]] == ["register", "register"]
    assert shown["left"] == 2
    assert sum(shown["remaining"].values()) == 2, (
        "both come from a folder that is registered in no location there"
    )
    assert Source.objects.unrestricted("test").count() == 1

    assert "registered" in _command("source", "migrate", "second", "--apply")
    made = Source.objects.unrestricted("test").get(target="https://git.example.org/one.yaml")
    assert (made.registered_by, made.priority) == (Source.RegisteredBy.API, remote.source.priority - 1)
    again = json.loads(_command("source", "migrate", "second", "--apply", "--json"))
    assert {move["outcome"] for move in again["moves"]} == {"known"}


def test_a_source_of_our_own_takes_over_and_the_entity_stays_when_the_other_instance_goes(
    second: Second, tmp_path: Any, settings: Any
) -> None:
    second.write("a.yaml", component("shop"), component("other"))
    second.read()
    remote = Remote(second.base)
    remote.sync()
    uid = entity("component:default/shop").uid
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    folder = Folder(tmp_path / "own", "own")
    folder.write("a.yaml", component("shop"))
    folder.sync(priority=remote.source.priority - 1)
    remote.sync()
    assert remote.refs == {"component:default/other"}
    assert remote.outcomes["component:default/shop"] == "conflict"
    assert Contender.objects.unrestricted("test").filter(source=remote.source).count() == 1
    second.write("a.yaml", component("shop"), component("other", "changed"))
    second.read()
    remote.sync()
    assert remote.report["fetched"] == 1
    assert Contender.objects.unrestricted("test").filter(source=remote.source).count() == 1
    assert "catalog.conflict" in remote.problems

    delete_source(actor=SYSTEM, source=remote.source)
    shop = entity("component:default/shop")
    assert (shop.uid, shop.source_id) == (uid, folder.source.pk if folder.source else None)
    assert not exists("component:default/other")


def test_the_other_instance_takes_an_entity_over_when_the_source_that_had_it_goes(
    second: Second, tmp_path: Any, settings: Any
) -> None:
    second.write("a.yaml", component("shop"))
    second.read()
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    folder = Folder(tmp_path / "own", "own")
    folder.write("a.yaml", component("shop"))
    folder.sync(priority=1)
    remote = Remote(second.base)
    remote.sync()
    assert remote.refs == set()
    assert folder.source is not None
    delete_source(actor=SYSTEM, source=folder.source)
    remote.sync()
    assert remote.refs == {"component:default/shop"}
    assert remote.outcomes["component:default/shop"] == "taken"


def test_locations_are_shown_and_not_followed(second: Second) -> None:
    second.write("a.yaml", location("tree", "./b.txt"))
    (second.files / "b.txt").write_text(component("leaf"))
    second.read()
    remote = Remote(second.base)
    remote.sync()
    assert {"location:default/tree", "component:default/leaf"} <= remote.refs
    assert entity("component:default/leaf").parent == entity(remote.source.entity_ref)


def test_the_report_is_on_the_page_in_the_api_and_on_the_command_line(second: Second, client: Client) -> None:
    second.write("a.yaml", component("shop"), GROUP.format("platform"))
    second.read()
    remote = Remote(second.base, allowed_kinds=["Component"], view_url="https://second.example.org")
    client.force_login(UserFactory())
    empty = client.get(f"/api/catalog/v1/sources/{remote.source.pk}/remote-report")
    assert (empty.status_code, empty.json()["error"]["name"]) == (404, "NotFoundError")
    remote.sync()
    answer = client.get(f"/api/catalog/v1/sources/{remote.source.pk}/remote-report").json()
    assert answer["source"]["name"] == "second"
    assert answer["refused"]["examples"][0]["ref"] == "group:default/platform"
    page = client.get(f"/catalog/sources/{remote.source.pk}/").content.decode()
    assert "What was taken" in page
    assert "group:default/platform" in page
    spoken = _command("source", "report", "second")
    assert "1 refused" in spoken
    assert json.loads(_command("source", "report", "second", "--json"))["taken"] == 1
    shop = client.get("/catalog/default/component/shop/").content.decode()
    assert "https://second.example.org/catalog/default/component/shop" in shop
    assert "Another instance" in shop


def _command(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()
