"""Renames and moves within one registration: the entity stays itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from catalog.models import Alias, Entity, Revision, Tombstone
from catalog.services.publishing import remove_entity
from portal.events.models import Event
from tests.factories.access import UserFactory
from tests.factories.sources import (
    SYSTEM,
    Folder,
    assert_catalog_is_consistent,
    component,
    entity,
    exists,
    shown_relations,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.req("R020")]

SHOP, STORE = "component:default/shop", "component:default/store"
OWN = "description: Sells tickets on the quay\nannotations: {example.com/till: seven}"


@pytest.fixture
def folder(tmp_path: Path, settings: object) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = (tmp_path,)  # type: ignore[attr-defined]  # the fixture of pytest-django
    return Folder(tmp_path / "company")


def shop(name: str = "shop", extra: str = OWN, **spec: str) -> str:
    return component(name, extra=extra, **spec)


def synced(folder: Folder, *documents: str, file: str = "shop.yaml") -> Entity:
    folder.write(file, *documents)
    folder.sync()
    assert_catalog_is_consistent()
    return entity(SHOP)


def test_a_renamed_entity_keeps_its_uid_date_of_creation_and_history(folder: Folder) -> None:
    before = synced(folder, shop())
    folder.write("shop.yaml", shop("store"))
    assert folder.sync()["changed"] == 1
    after = entity(STORE)
    assert (after.uid, after.created_at, after.revision) == (before.uid, before.created_at, 2)
    assert not exists(SHOP)
    revision = Revision.objects.unrestricted("test").get(uid=before.uid)
    assert (revision.number, revision.ref, revision.end) == (1, SHOP, "changed")
    assert not Tombstone.objects.unrestricted("test").exists(), "nothing was removed"
    assert_catalog_is_consistent()


def test_a_rename_is_announced_once_with_the_earlier_reference(folder: Folder) -> None:
    synced(folder, shop())
    folder.write("shop.yaml", shop("store"))
    folder.sync()
    events = Event.objects.unrestricted("test").filter(subject__in=(SHOP, STORE)).order_by("pk")
    found = [(e.type, e.subject, e.data.get("earlier")) for e in events]
    assert found == [("catalog.entity.created", SHOP, None), ("catalog.entity.renamed", STORE, SHOP)]


def test_relations_of_a_renamed_entity_go_with_it(folder: Folder) -> None:
    folder.write("till.yaml", component("till"))
    synced(folder, shop(dependsOn="[component:till]"))
    folder.write("shop.yaml", shop("store", dependsOn="[component:till]"))
    folder.sync()
    assert ("dependencyOf", STORE) in shown_relations("component:default/till")
    assert ("dependencyOf", SHOP) not in shown_relations("component:default/till")
    assert_catalog_is_consistent()


def test_the_old_address_leads_to_the_new_one_in_the_portal_but_not_on_stock_paths(folder: Folder) -> None:
    synced(folder, shop())
    folder.write("shop.yaml", shop("store"))
    folder.sync()
    client = Client()
    client.force_login(UserFactory())
    answer = client.get("/catalog/default/component/shop/relations/")
    assert (answer.status_code, answer["Location"]) == (302, "/catalog/default/component/store/relations/")
    assert client.get("/catalog/default/component/shop/")["Location"] == "/catalog/default/component/store/"
    assert client.get("/api/catalog/entities/by-name/component/default/shop").status_code == 404
    assert client.get("/api/catalog/entities/by-name/component/default/store").status_code == 200


def test_a_rename_there_and_back_ends_where_it_began(folder: Folder) -> None:
    uid = synced(folder, shop()).uid
    for name in ("store", "shop"):
        folder.write("shop.yaml", shop(name))
        folder.sync()
    assert (entity(SHOP).uid, entity(SHOP).revision) == (uid, 3)
    assert list(Alias.objects.unrestricted("test").values_list("ref", flat=True)) == [STORE]


def test_a_chain_of_renames_leads_from_each_earlier_name_to_the_last_one(folder: Folder) -> None:
    uid = synced(folder, shop()).uid
    for name in ("store", "kiosk"):
        folder.write("shop.yaml", shop(name))
        folder.sync()
    client = Client()
    client.force_login(UserFactory())
    for name in ("shop", "store"):
        assert (
            client.get(f"/catalog/default/component/{name}/")["Location"]
            == "/catalog/default/component/kiosk/"
        )
    assert entity("component:default/kiosk").uid == uid


def test_a_new_entity_takes_a_name_that_was_an_alias(folder: Folder) -> None:
    uid = synced(folder, shop()).uid
    folder.write("shop.yaml", shop("store"))
    folder.sync()
    folder.write("other.yaml", component("shop", owner="others"))
    folder.sync()
    assert entity(SHOP).uid != uid
    assert not Alias.objects.unrestricted("test").exists()
    remove_entity(actor=SYSTEM, uid=str(entity(SHOP).uid))
    client = Client()
    client.force_login(UserFactory())
    assert client.get("/catalog/default/component/shop/").status_code == 410


def test_a_moved_file_keeps_uid_and_says_in_its_history_where_it_was(folder: Folder) -> None:
    before = synced(folder, shop())
    folder.remove("shop.yaml")
    folder.write("services/shop.yaml", shop())
    folder.sync()
    after = entity(SHOP)
    assert (after.uid, after.revision) == (before.uid, 2)
    assert after.url.endswith("services/shop.yaml")
    assert Revision.objects.unrestricted("test").get(uid=after.uid).url == before.url


def test_moved_and_renamed_at_once_it_is_found_where_it_says_something_of_its_own(folder: Folder) -> None:
    before = synced(folder, shop())
    folder.remove("shop.yaml")
    folder.write("services/store.yaml", shop("store"))
    folder.sync()
    assert entity(STORE).uid == before.uid


def test_another_entity_in_another_file_is_no_rename_where_only_the_usual_is_the_same(folder: Folder) -> None:
    before = synced(folder, shop(extra=""))
    folder.remove("shop.yaml")
    folder.write("services/store.yaml", shop("store", extra=""))
    folder.sync()
    assert entity(STORE).uid != before.uid
    assert Tombstone.objects.unrestricted("test").get().ref == SHOP


def test_something_else_at_the_same_place_is_no_rename(folder: Folder) -> None:
    before = synced(folder, shop())
    other = component("payroll", owner="people", extra="description: Pays people\ntags: [money]")
    folder.write(
        "shop.yaml", other.replace("type: service", "type: job").replace("production", "experimental")
    )
    folder.sync()
    assert entity("component:default/payroll").uid != before.uid


def test_where_two_would_do_nothing_is_renamed(folder: Folder) -> None:
    before = synced(folder, shop())
    folder.remove("shop.yaml")
    folder.write("a.yaml", shop("store"))
    folder.write("b.yaml", shop("kiosk"))
    folder.sync()
    assert before.uid not in {entity(STORE).uid, entity("component:default/kiosk").uid}


def test_two_that_are_swapped_in_one_file_are_told_apart_by_their_names(folder: Folder) -> None:
    folder.write("shop.yaml", shop(), component("till", extra="description: Takes money"))
    folder.sync()
    shop_uid, till_uid = entity(SHOP).uid, entity("component:default/till").uid
    folder.write("shop.yaml", component("till", extra="description: Takes money"), shop())
    folder.sync()
    assert (entity(SHOP).uid, entity("component:default/till").uid) == (shop_uid, till_uid)


def test_a_changed_namespace_is_a_rename_too(folder: Folder) -> None:
    before = synced(folder, shop())
    folder.write("shop.yaml", shop(extra=f"namespace: quay\n{OWN}"))
    folder.sync()
    assert entity("component:quay/shop").uid == before.uid
