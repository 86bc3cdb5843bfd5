"""When entities were confirmed: exact, though no row is written for it in each sync."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from catalog.models import Entity, Source
from catalog.query import EntityQuery
from catalog.query.freshness import Freshness, freshness_of
from catalog.query.health import entity_numbers
from catalog.services.removals import restore_entity
from catalog.services.sources import delete_source
from portal.access.viewer import Viewer
from tests.factories.sources import SYSTEM, Folder, component, entity

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.req("R018")]
SHOP, TILL = "component:default/shop", "component:default/till"


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = (tmp_path,)
    made = Folder(tmp_path / "company")
    made.write("shop.yaml", component("shop"))
    made.write("till.yaml", component("till"))
    made.sync()
    return made


def freshness(ref: str) -> Freshness:
    return freshness_of(Entity.objects.unrestricted("test").select_related("source").get(ref=ref))


def last_success(folder: Folder) -> Any:
    return Source.objects.unrestricted("test").get(pk=folder.source.pk).last_success_at  # type: ignore[union-attr]  # it was synced


def stale_refs() -> set[str]:
    rows = EntityQuery(Viewer.system("test"), include={"fresh": ["stale"]}).entities()
    return set(rows.values_list("ref", flat=True))


def test_a_sync_that_finds_nothing_new_confirms_everything_and_writes_no_entity(folder: Folder) -> None:
    before = last_success(folder)
    with time_machine.travel(timezone.now() + timedelta(hours=3), tick=False):
        assert folder.sync()["state"] == "unchanged"
        assert freshness(SHOP).confirmed_at == last_success(folder) > before
        assert entity(SHOP).confirmed_at is None
        assert stale_refs() == set()


def test_without_readings_everything_grows_stale_and_one_reading_makes_it_fresh_at_once(
    folder: Folder,
) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=6, hours=23), tick=False):
        assert stale_refs() == set()
    with time_machine.travel(timezone.now() + timedelta(days=7, hours=1), tick=False):
        assert {SHOP, TILL} <= stale_refs()
        folder.sync()
        assert stale_refs() == set()


def test_what_became_invalid_keeps_the_time_of_the_reading_before(folder: Folder) -> None:
    confirmed = last_success(folder)
    folder.write("shop.yaml", component("shop").replace("type: service", "type: 3"))
    for hours in (1, 2, 3):
        with time_machine.travel(timezone.now() + timedelta(hours=hours), tick=False):
            folder.sync(force=True)
    assert entity(SHOP).has_errors
    assert freshness(SHOP).confirmed_at == confirmed
    assert freshness(TILL).confirmed_at == last_success(folder) > confirmed
    folder.write("shop.yaml", component("shop"))
    folder.sync()
    assert freshness(SHOP).confirmed_at == last_success(folder)


def test_what_became_missing_keeps_the_time_of_the_reading_before_until_it_is_read_again(
    folder: Folder,
) -> None:
    confirmed = last_success(folder)
    good = (folder.path / "shop.yaml").read_text()
    folder.write("shop.yaml", "kind: [")
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        folder.sync(force=True)
    assert (entity(SHOP).state, freshness(SHOP).confirmed_at) == (Entity.State.MISSING, confirmed)
    (folder.path / "shop.yaml").write_text(good)
    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=False):
        folder.sync()
        assert entity(SHOP).state == Entity.State.ACTIVE
        assert freshness(SHOP).confirmed_at == last_success(folder)


def test_a_source_that_cannot_be_read_confirms_nothing(folder: Folder) -> None:
    confirmed = last_success(folder)
    folder.path.rename(folder.path.with_name("away"))
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        folder.try_sync(force=True)
    assert last_success(folder) == confirmed
    assert freshness(SHOP).confirmed_at == confirmed


def test_an_orphan_is_stale_because_nothing_confirms_it(folder: Folder) -> None:
    from catalog.models import Tombstone

    assert folder.source is not None
    delete_source(actor=SYSTEM, source=folder.source)
    stone = Tombstone.objects.unrestricted("test").get(ref=SHOP)
    restore_entity(actor=SYSTEM, tombstone=stone)
    assert (freshness(SHOP).confirmed_at, freshness(SHOP).stale) == (None, True)
    assert stale_refs() == {SHOP}


def test_within_one_cycle_of_a_stopped_source_the_number_of_stale_entities_rises(folder: Folder) -> None:
    Source.objects.filter(pk=folder.source.pk).update(stale_after=0.01)  # type: ignore[union-attr]  # about 14 minutes
    assert entity_numbers(SYSTEM)["stale"] == 0
    with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=False):
        assert entity_numbers(SYSTEM)["stale"] == 3  # the Location of the folder among them
