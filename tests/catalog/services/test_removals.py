"""Tombstones and their way back; removals that are held back until somebody decides."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from catalog.models import Entity, Quarantine, Source, Tombstone
from catalog.services.publishing import remove_entity
from catalog.services.removals import decide_removal, forget_old_tombstones, restore_entity
from catalog.services.sources import delete_source
from portal.access.viewer import Viewer
from portal.audit.models import AuditEvent
from portal.core.errors import ConflictError, NotFoundError
from tests.factories.access import StaffFactory, UserFactory
from tests.factories.sources import (
    SYSTEM,
    Folder,
    assert_catalog_is_consistent,
    component,
    document,
    entity,
    exists,
    shown_relations,
)

pytestmark = pytest.mark.django_db(transaction=True)

SHOP, TILL = "component:default/shop", "component:default/till"


@pytest.fixture
def folder(tmp_path: Path, settings: object) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = (tmp_path,)  # type: ignore[attr-defined]  # the fixture of pytest-django
    return Folder(tmp_path / "company")


def tombstone(ref: str = SHOP) -> Tombstone:
    found: Tombstone | None = Tombstone.objects.unrestricted("test").filter(ref=ref).first()
    assert found is not None
    return found


def write_many(folder: Folder, count: int) -> None:
    folder.write("many.yaml", *(component(f"c{n}") for n in range(count)))


def held(folder: Folder) -> Quarantine | None:
    found: Quarantine | None = Quarantine.objects.unrestricted("test").filter(source=folder.source).first()
    return found


# --- tombstones


@pytest.fixture
def shop(folder: Folder) -> Entity:
    """A component with a relation to another one, gone again."""
    folder.write("shop.yaml", component("shop", dependsOn="[component:till]", extra="title: The shop"))
    folder.write("till.yaml", component("till"))
    folder.sync()
    before = entity(SHOP)
    folder.remove("shop.yaml")
    folder.sync()
    assert not exists(SHOP)
    return before


def test_what_is_no_longer_declared_leaves_a_tombstone_that_says_why(folder: Folder, shop: Entity) -> None:
    stone = tombstone()
    assert (stone.uid, stone.reason, stone.source, stone.actor) == (shop.uid, "undeclared", folder.source, "")
    assert stone.revision.url.endswith("shop.yaml")
    assert stone.may_return


def test_a_restored_entity_has_its_uid_document_and_relations_and_is_an_orphan(shop: Entity) -> None:
    before = dict(shown_relations(TILL))
    restored = restore_entity(actor=SYSTEM, tombstone=tombstone())
    assert (restored.uid, restored.state, restored.source) == (shop.uid, Entity.State.ORPHANED, None)
    found = document(SHOP)
    assert found["metadata"]["title"] == "The shop"
    assert found["metadata"]["annotations"]["backstage.io/orphan"] == "true"
    assert ("dependencyOf", SHOP) in shown_relations(TILL)
    assert "dependencyOf" not in before
    assert_catalog_is_consistent()
    assert AuditEvent.objects.unrestricted("test").filter(verb="catalog.entity.restored").exists()


def test_a_restored_entity_survives_syncs_and_keeps_its_uid_when_it_is_declared_again(
    folder: Folder, shop: Entity
) -> None:
    restore_entity(actor=SYSTEM, tombstone=tombstone())
    folder.sync(force=True)
    assert entity(SHOP).uid == shop.uid
    folder.write("shop.yaml", component("shop"))
    folder.sync()
    again = entity(SHOP)
    assert (again.uid, again.state, again.source) == (shop.uid, Entity.State.ACTIVE, folder.source)
    assert "backstage.io/orphan" not in document(SHOP)["metadata"]["annotations"]
    assert_catalog_is_consistent()


def test_declared_again_without_that_it_is_a_new_entity_and_the_old_one_stays_gone(
    folder: Folder, shop: Entity
) -> None:
    folder.write("shop.yaml", component("shop"))
    folder.sync()
    assert entity(SHOP).uid != shop.uid
    with pytest.raises(ConflictError):
        restore_entity(actor=SYSTEM, tombstone=tombstone())
    assert tombstone().restored_at is None, "the refusal changed nothing"


def test_what_is_restored_once_is_not_restored_again(shop: Entity) -> None:
    stone = tombstone()
    restore_entity(actor=SYSTEM, tombstone=stone)
    with pytest.raises(NotFoundError):
        restore_entity(actor=SYSTEM, tombstone=stone)


def test_a_tombstone_past_its_time_brings_nothing_back_and_goes(shop: Entity) -> None:
    past = timezone.now() - timedelta(seconds=1)
    Tombstone.objects.unrestricted("test").update(keep_until=past)
    with pytest.raises(NotFoundError):
        restore_entity(actor=SYSTEM, tombstone=tombstone())
    assert forget_old_tombstones() == 1


def test_somebody_who_may_not_curate_restores_nothing(shop: Entity) -> None:
    with pytest.raises(NotFoundError):
        restore_entity(actor=Viewer(actor="user:elif", user_id=5), tombstone=tombstone())


def test_an_orphan_can_be_deleted_by_hand_and_says_who_did_it(shop: Entity) -> None:
    restored = restore_entity(actor=SYSTEM, tombstone=tombstone())
    assert remove_entity(actor=SYSTEM, uid=str(restored.uid)) == []
    assert not exists(SHOP)
    assert (tombstone().reason, tombstone().actor) == ("deleted", SYSTEM.actor)


def test_a_removed_registration_leaves_tombstones_that_outlive_it(folder: Folder, shop: Entity) -> None:
    assert folder.source is not None
    delete_source(actor=SYSTEM, source=folder.source)
    stone = tombstone(TILL)
    assert (stone.reason, stone.source, stone.source_name) == ("unregistered", None, "folder")
    restore_entity(actor=SYSTEM, tombstone=stone)
    assert exists(TILL)


# --- many at once


def test_many_removals_at_once_are_held_back_and_shown_as_missing(folder: Folder) -> None:
    write_many(folder, 30)
    folder.sync()
    write_many(folder, 5)
    result = folder.sync()
    assert (result["removed"], result["state"]) == (0, "partial")
    waiting = held(folder)
    assert waiting is not None
    assert (len(waiting.refs), waiting.total, waiting.state) == (25, 31, "pending")
    assert entity("component:default/c29").state == Entity.State.MISSING
    assert entity("component:default/c0").state == Entity.State.ACTIVE
    assert [p.rule for p in folder.problems] == ["catalog.removal.held"]


@pytest.mark.parametrize(("before", "after"), [(19, 0), (100, 71)])
def test_few_removals_or_a_small_share_go_at_once(folder: Folder, before: int, after: int) -> None:
    write_many(folder, before)
    folder.sync()
    folder.write("many.yaml", *(component(f"c{n}") for n in range(after)), component("stays"))
    assert folder.sync()["removed"] == before - after
    assert held(folder) is None


def test_what_was_accepted_goes_with_the_next_sync(folder: Folder) -> None:
    write_many(folder, 30)
    folder.sync()
    write_many(folder, 1)
    folder.sync()
    waiting = held(folder)
    assert waiting is not None
    decide_removal(actor=SYSTEM, quarantine=waiting, accept=True)
    assert folder.sync(force=True)["removed"] == 29
    assert (held(folder), folder.problems) == (None, [])
    assert not exists("component:default/c29")
    assert tombstone("component:default/c29").may_return


def test_an_acceptance_is_about_these_entities_and_no_others(folder: Folder) -> None:
    write_many(folder, 60)
    folder.sync()
    write_many(folder, 30)
    folder.sync()
    waiting = held(folder)
    assert waiting is not None
    decide_removal(actor=SYSTEM, quarantine=waiting, accept=True)
    write_many(folder, 10)
    assert folder.sync(force=True)["removed"] == 0
    again = held(folder)
    assert again is not None
    assert (len(again.refs), again.state) == (50, "pending")


def test_what_was_rejected_stays_and_is_not_asked_again(folder: Folder) -> None:
    write_many(folder, 30)
    folder.sync()
    write_many(folder, 1)
    folder.sync()
    waiting = held(folder)
    assert waiting is not None
    decide_removal(actor=SYSTEM, quarantine=waiting, accept=False)
    assert folder.sync(force=True)["removed"] == 0
    again = held(folder)
    assert again is not None
    assert again.state == "rejected"
    assert exists("component:default/c29")
    with pytest.raises(ConflictError):
        decide_removal(actor=SYSTEM, quarantine=waiting, accept=True)


def test_a_source_that_declares_them_again_answers_the_question_itself(folder: Folder) -> None:
    write_many(folder, 30)
    folder.sync()
    write_many(folder, 1)
    folder.sync()
    write_many(folder, 30)
    folder.sync()
    assert held(folder) is None
    assert entity("component:default/c29").state == Entity.State.ACTIVE


# --- pages


def _client(user: object) -> Client:
    client = Client()
    client.force_login(user)  # type: ignore[arg-type]  # a user of the factory
    return client


def test_the_address_of_a_removed_entity_says_so_and_lets_curators_restore_it(shop: Entity) -> None:
    member, curator = _client(UserFactory()), _client(StaffFactory())
    address = "/catalog/default/component/shop/"
    page = member.get(address)
    assert page.status_code == 410
    assert b"No longer declared" in page.content
    assert b"/restore/" not in page.content
    restore = f"/catalog/removed/{tombstone().pk}/restore/"
    assert restore.encode() in curator.get(address).content
    assert member.post(restore).status_code == 403
    assert curator.post(restore)["Location"] == address
    assert member.get(address).status_code == 200
    assert curator.post(restore).status_code == 404


def test_curators_decide_on_the_page_of_what_is_held_back(folder: Folder) -> None:
    write_many(folder, 150)
    folder.sync()
    write_many(folder, 1)
    folder.sync()
    member, curator = _client(UserFactory()), _client(StaffFactory())
    assert isinstance(folder.source, Source)
    source = f"/catalog/sources/{folder.source.pk}/"
    assert f"{source}held/".encode() in member.get(source).content
    page = member.get(f"{source}held/")
    assert b"149 of 151" in page.content
    assert b"Remove all" not in page.content
    assert b"start=100" in page.content
    waiting = held(folder)
    assert waiting is not None
    keep = {"decision": "keep", "digest": waiting.digest}
    assert member.post(f"{source}held/", keep).status_code == 403
    assert curator.post(f"{source}held/", {**keep, "digest": "other"}).status_code == 400
    assert curator.post(f"{source}held/", keep)["Location"] == source
    assert b"Rejected by" in curator.get(f"{source}held/").content
