"""Which of several sources has an entity: priorities decide, then who declared it first, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import Claim, Contender, Source
from catalog.services.sources import SYNC_JOB, delete_source, update_source
from portal.jobs.models import Job
from portal.jobs.running import run_job
from tests.factories.sources import (
    SYSTEM,
    Folder,
    assert_catalog_is_consistent,
    component,
    entity,
    exists,
)
from tests.services.examples import examples

pytestmark = pytest.mark.django_db(transaction=True)
SHOP = "component:default/shop"


@pytest.fixture
def places(tmp_path: Path, settings: Any) -> Path:
    settings.CALLBOARD_FILE_ROOTS = (tmp_path,)
    return tmp_path


def folder(places: Path, name: str) -> Folder:
    made = Folder(places / name, name)
    made.write("shop.yaml", component("shop", extra=f"title: {name}"))
    return made


def settle(choose: Any = None) -> None:
    """Run what is queued until nothing is; ``choose`` picks the next one, as workers may."""
    while waiting := list(
        Job.objects.unrestricted("test").filter(kind=SYNC_JOB, state=Job.State.QUEUED).order_by("created_at")
    ):
        job = waiting[choose(len(waiting))] if choose else waiting[0]
        run_job(job.pk)


def winner() -> str:
    source = entity(SHOP).source
    assert source is not None
    return source.name


def forget() -> None:
    """Make room for the next example of one test."""
    Job.objects.unrestricted("test").delete()
    for source in Source.objects.unrestricted("test"):
        delete_source(actor=SYSTEM, source=source)
    Job.objects.unrestricted("test").delete()
    assert not exists(SHOP)


@pytest.mark.req("R002")
@settings(
    max_examples=examples(8), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_the_winner_and_every_heir_depend_on_priorities_and_first_come_alone(places: Path, data: Any) -> None:
    forget()
    names = ["a", "b", "c"]
    priorities = {name: data.draw(st.sampled_from([1, 2]), label=f"priority of {name}") for name in names}
    order = data.draw(st.permutations(names), label="first readings")

    def any_order(count: int) -> int:
        return int(data.draw(st.integers(0, count - 1), label="job"))

    folders = {name: folder(places, name) for name in names}
    for name in order:
        folders[name].sync(priority=priorities[name])
        if data.draw(st.booleans(), label="settle"):
            settle(any_order)
    settle(any_order)
    ranking = sorted(names, key=lambda name: (priorities[name], order.index(name)))
    for place, expected in enumerate(ranking):
        assert winner() == expected
        assert_catalog_is_consistent()
        again = data.draw(st.permutations(ranking[place:]), label="read again")
        for name in again:
            folders[name].sync(force=True)
            settle(any_order)
        assert winner() == expected, "reading again changes nothing"
        source = folders[expected].source
        assert source is not None
        if data.draw(st.booleans(), label="delete the source"):
            delete_source(actor=SYSTEM, source=source)
        else:
            folders[expected].remove("shop.yaml")
            folders[expected].sync()
        settle(any_order)
    assert not exists(SHOP)
    assert (
        not Claim.objects.unrestricted("test").exclude(source__in=Source.objects.unrestricted("t")).exists()
    )


def test_of_equal_sources_the_first_one_keeps_the_entity_however_often_others_are_read(places: Path) -> None:
    first, second = folder(places, "first"), folder(places, "second")
    first.sync()
    for _ in range(3):
        second.sync(force=True)
        settle()
    assert winner() == "first"


def test_a_better_priority_flips_the_winner_and_the_way_back_gives_it_to_the_first_again(
    places: Path,
) -> None:
    first, second = folder(places, "first"), folder(places, "second")
    first.sync()
    second.sync()
    assert first.source and second.source
    update_source(actor=SYSTEM, source=second.source, changes={"priority": 50})
    settle()
    assert winner() == "second"
    assert [row.source.name for row in Contender.objects.unrestricted("test").select_related("source")] == [
        "first"
    ]
    update_source(actor=SYSTEM, source=second.source, changes={"priority": 100})
    settle()
    assert winner() == "first", "both declare it still, and the first was first"
    uid = entity(SHOP).uid
    update_source(actor=SYSTEM, source=first.source, changes={"priority": 200})
    settle()
    assert (winner(), entity(SHOP).uid) == ("second", uid), "it is the same entity, whoever declares it"


def test_who_no_longer_declares_an_entity_has_no_claim_to_it(places: Path) -> None:
    first, second = folder(places, "first"), folder(places, "second")
    first.sync()
    second.sync()
    assert Claim.objects.unrestricted("test").filter(source=second.source, entity_ref=SHOP).exists()
    second.remove("shop.yaml")
    second.sync()
    assert not Claim.objects.unrestricted("test").exists()


def test_a_file_that_cannot_be_read_for_a_while_costs_no_claim(places: Path) -> None:
    first, second, third = (folder(places, name) for name in ("first", "second", "third"))
    for place in (first, second, third):
        place.sync()
    before = dict(Claim.objects.unrestricted("test").values_list("source__name", "since"))
    second.write("shop.yaml", "kind: Component\nmetadata: [")
    second.sync()
    second.write("shop.yaml", component("shop"))
    second.sync()
    assert dict(Claim.objects.unrestricted("test").values_list("source__name", "since")) == before
    assert set(before) == {"second", "third"}
