"""Entities that are kept here beside those of other sources: who wins, who waits; renaming, and earlier versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalog.models import Alias, Contender, Entity, KeptDocument, Source
from catalog.services.sources import update_source
from portal.audit.models import AuditEvent
from tests.catalog.api.test_writes import REF, SHOP, events, versions
from tests.catalog.services.test_publishing_races import run_waiting_jobs
from tests.factories.managed import Api, error, written
from tests.factories.sources import (
    SYSTEM,
    Folder,
    assert_catalog_is_consistent,
    component,
    document,
    entity,
    exists,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.req("R022")]


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = (tmp_path,)
    return Folder(tmp_path / "company")


def test_what_another_source_declares_is_not_overwritten_and_the_answer_says_who_does(
    api: Api, folder: Folder
) -> None:
    folder.write("shop.yaml", component("shop"))
    folder.sync()
    for answer in (
        api.put(SHOP, written("shop", title="Mine"), if_match="*"),
        api.patch(SHOP, {"metadata": {"title": "Mine"}}),
        api.delete(SHOP, if_match="*"),
        api.post(f"{SHOP}/rename", {"name": "till"}),
    ):
        found = error(answer, 409)
        assert found["declaredBy"] == "folder"
        assert found["url"].endswith("shop.yaml")
    assert "title" not in document(REF)["metadata"]
    assert not KeptDocument.objects.unrestricted("test").exists()


def test_a_source_that_is_outranked_becomes_the_contender(api: Api, folder: Folder) -> None:
    folder.write("shop.yaml", component("shop"))
    folder.sync(priority=200)
    uid = entity(REF).uid
    answer = api.put(SHOP, written("shop", title="Mine"), if_match="*")
    assert (answer.status_code, answer.json()["tookOverFrom"], answer.json()["outcome"]) == (
        200,
        "folder",
        "changed",
    )
    run_waiting_jobs()
    assert (entity(REF).uid, document(REF)["metadata"]["title"]) == (uid, "Mine")
    assert list(Contender.objects.unrestricted("test").values_list("source__name", "entity_ref")) == [
        ("folder", REF)
    ]
    assert api.delete(SHOP, if_match="*").status_code == 200
    run_waiting_jobs()
    assert entity(REF).source == folder.source, "who was outranked has it now"
    assert_catalog_is_consistent()


def test_a_text_that_another_source_outranks_waits_and_counts_again_when_that_one_lets_go(
    api: Api, folder: Folder
) -> None:
    api.put(SHOP, written("shop", title="Mine"))
    folder.write("shop.yaml", component("shop", extra="title: Theirs"))
    folder.sync(priority=50)
    run_waiting_jobs()
    assert document(REF)["metadata"]["title"] == "Theirs"
    assert Contender.objects.unrestricted("test").get().source.name == "Callboard"
    error(api.put(SHOP, written("shop", title="Mine 2"), if_match="*"), 409)
    folder.remove("shop.yaml")
    folder.sync()
    run_waiting_jobs()
    assert document(REF)["metadata"]["title"] == "Mine"
    assert entity(REF).source.name == "Callboard"
    assert_catalog_is_consistent()


def test_a_text_that_waits_can_be_withdrawn(api: Api, folder: Folder) -> None:
    api.put(SHOP, written("shop", title="Mine"))
    folder.write("shop.yaml", component("shop", extra="title: Theirs"))
    folder.sync(priority=50)
    run_waiting_jobs()
    answer = api.delete(SHOP, if_match="*").json()
    assert (answer["outcome"], answer["declaredBy"]) == ("withdrawn", "folder")
    assert not Contender.objects.unrestricted("test").exists()
    folder.remove("shop.yaml")
    folder.sync()
    run_waiting_jobs()
    assert not exists(REF)


def test_an_orphan_is_kept_here_from_the_first_write_on(api: Api, folder: Folder) -> None:
    folder.write("shop.yaml", component("shop"))
    folder.sync()
    folder.remove("shop.yaml")
    folder.sync()
    assert api.post(f"{SHOP}/restore").status_code == 200
    uid = entity(REF).uid
    assert entity(REF).state == Entity.State.ORPHANED
    assert api.patch(SHOP, {"metadata": {"title": "Kept"}}).json()["source"] == "Callboard"
    kept = entity(REF)
    assert (kept.uid, kept.state) == (uid, Entity.State.ACTIVE)
    annotations = document(REF)["metadata"]["annotations"]
    assert not [key for key in annotations if key in ("backstage.io/orphan", "backstage.io/view-url")]
    assert_catalog_is_consistent()


def test_reading_the_kept_source_again_changes_nothing_but_what_new_rules_refuse(api: Api) -> None:
    api.put(SHOP, written("shop"))
    api.put("component/default/till", written("till"))
    source = Source.objects.unrestricted("test").get()
    before = {ref: document(ref) for ref in (REF, "component:default/till")}
    update_source(actor=SYSTEM, source=source, changes={"priority": 90})
    run_waiting_jobs()
    assert {ref: document(ref) for ref in before} == before
    assert versions() == []
    update_source(actor=SYSTEM, source=source, changes={"allowed_kinds": ["API"]})
    run_waiting_jobs()
    assert entity(REF).has_errors
    assert error(api.patch(SHOP, {"metadata": {"title": "x"}}), 400)["code"] == "catalog.kind.not-allowed"
    update_source(actor=SYSTEM, source=source, changes={"allowed_kinds": []})
    assert api.patch(SHOP, {"metadata": {"title": "x"}}).status_code == 200
    assert not entity(REF).has_errors
    run_waiting_jobs()
    assert_catalog_is_consistent()


def test_the_writer_names_the_source_that_keeps_it(api: Api, folder: Folder) -> None:
    assert api.put(f"{SHOP}?source=Team%20A", written("shop")).json()["source"] == "Team A"
    assert api.put(SHOP, written("shop", title="x"), if_match="*").json()["source"] == "Team A"
    assert (
        error(api.put(f"{SHOP}?source=Team%20B", written("shop"), if_match="*"), 409)["declaredBy"]
        == "Team A"
    )
    folder.write("till.yaml", component("till"))
    folder.sync()
    answer = api.put("component/default/kiosk?source=folder", written("kiosk"))
    assert error(answer, 409)["code"] == "catalog.write.not-managed"


# --- rename, revisions


def test_a_renamed_entity_keeps_uid_and_history_and_its_old_name_is_an_alias(api: Api) -> None:
    api.put(
        "component/default/till",
        {**written("till"), "spec": {**written("till")["spec"], "dependsOn": ["component:shop"]}},
    )
    api.put(SHOP, written("shop", title="Shop"))
    uid = entity(REF).uid
    answer = api.post(f"{SHOP}/rename", {"name": "Store", "namespace": "retail"})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "renamed")
    assert answer["Location"].endswith("/component/retail/store")
    new = entity("component:retail/store")
    assert (new.uid, new.revision, document(new.ref)["metadata"]["name"]) == (uid, 2, "Store")
    assert Alias.objects.unrestricted("test").get().ref == REF
    assert api.get(SHOP).status_code == 404
    assert api.get(f"/api/catalog/entities/by-name/{SHOP}").status_code == 404
    assert KeptDocument.objects.unrestricted("test").filter(ref=REF).count() == 0
    run_waiting_jobs()
    assert_catalog_is_consistent()
    assert [kind for kind, _ in events() if kind == "catalog.entity.renamed"] == ["catalog.entity.renamed"]


def test_a_name_that_is_taken_or_none_is_refused(api: Api) -> None:
    api.put(SHOP, written("shop"))
    api.put("component/default/till", written("till"))
    assert error(api.post(f"{SHOP}/rename", {"name": "till"}), 409)["code"] == "catalog.write.taken"
    assert error(api.post(f"{SHOP}/rename", {"name": "not a name"}), 400)["problems"]
    assert api.post(f"{SHOP}/rename", {}).status_code == 400
    assert api.post(f"{SHOP}/rename", {"name": "shop"}).json()["outcome"] == "unchanged"
    assert api.post(f"{SHOP}/rename", {"name": "SHOP"}).json()["outcome"] == "changed"
    assert document(REF)["metadata"]["name"] == "SHOP"
    assert api.post("component/default/nobody/rename", {"name": "x"}).status_code == 404


def test_an_earlier_version_is_written_again_under_the_same_uid(api: Api) -> None:
    api.put(SHOP, written("shop", title="One"))
    uid = entity(REF).uid
    api.patch(SHOP, {"metadata": {"title": "Two"}})
    api.post(f"{SHOP}/rename", {"name": "store"})
    answer = api.post("component/default/store/revisions/1/restore")
    assert (answer.status_code, answer.json()["outcome"], answer.json()["revision"]) == (200, "changed", 4)
    found = document("component:default/store")
    assert (found["metadata"]["title"], found["metadata"]["uid"]) == ("One", str(uid))
    assert found["metadata"]["name"] == "store"
    assert api.post("component/default/store/revisions/4/restore").json()["outcome"] == "unchanged"
    assert api.post("component/default/store/revisions/9/restore").status_code == 404
    note = AuditEvent.objects.unrestricted("test").filter(note__gt="").get().note
    assert note == "version 1 again"
    assert_catalog_is_consistent()


def test_an_earlier_version_of_what_a_source_declares_is_restored_in_its_file(
    api: Api, folder: Folder
) -> None:
    folder.write("shop.yaml", component("shop"))
    folder.sync()
    folder.write("shop.yaml", component("shop", extra="title: New"))
    folder.sync()
    assert error(api.post(f"{SHOP}/revisions/1/restore"), 409)["declaredBy"] == "folder"
    assert document(REF)["metadata"]["title"] == "New"
