"""Where capabilities meet: what is kept here beside sources, what is deleted by hand, what two writers do at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from catalog.ingest.collected import Collected
from catalog.models import Problem, Source
from catalog.refs import parse_ref
from catalog.services.managed import ANY_VERSION, delete_entity, managed_source, put_entity, rename_entity
from catalog.services.managed.reading import collect_kept
from catalog.services.publishing.compare import compare
from catalog.services.removals import remove_by_uid
from portal.core.errors import ConflictError
from portal.jobs.models import Job
from portal.jobs.running import run_job
from tests.factories.managed import CURATOR, written
from tests.factories.sources import Folder, assert_catalog_is_consistent, component, entity

pytestmark = pytest.mark.django_db(transaction=True)
SHOP = "component:default/shop"


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    return Folder(tmp_path / "one", "one")


def run_waiting() -> None:
    """Do the jobs that wait, and those that they ask for."""
    waiting = Job.objects.unrestricted("test").filter(state=Job.State.QUEUED)
    while job := waiting.order_by("created_at").first():
        run_job(job.pk)


def outrank(folder: Folder) -> None:
    Source.objects.filter(pk=folder.source.pk).update(priority=200)


def test_what_is_deleted_by_hand_comes_back_from_the_source_that_it_outranked(folder: Folder) -> None:
    folder.write("shop.yaml", component("shop"))
    folder.sync()
    outrank(folder)
    put_entity(actor=CURATOR, ref=parse_ref(SHOP), document=written("shop"), when=ANY_VERSION)
    run_waiting()
    kept = entity(SHOP)
    assert kept.source is not None and kept.source.type == Source.Type.MANAGED
    remove_by_uid(actor=CURATOR, uid=str(kept.uid))
    run_waiting()
    assert entity(SHOP).source_id == folder.source.pk
    assert_catalog_is_consistent()


def test_what_a_managed_source_reads_while_others_publish_is_compared_as_it_is_then() -> None:
    put_entity(actor=CURATOR, ref=parse_ref(SHOP), document=written("shop", title="One"))
    source, found = managed_source(actor=CURATOR), Collected()
    collect_kept(source, found)
    compare(source, found)
    put_entity(actor=CURATOR, ref=parse_ref(SHOP), document=written("shop", title="Two"), when=ANY_VERSION)
    collect_kept(source, found)
    assert not compare(source, found).has_work()


@pytest.mark.parametrize("how", ["delete", "by uid", "rename", "write"])
def test_what_was_wrong_with_an_entity_kept_here_is_no_problem_of_it_afterwards(how: str) -> None:
    written_ = put_entity(actor=CURATOR, ref=parse_ref(SHOP), document=written("shop"))
    source = managed_source(actor=CURATOR)
    now = timezone.now()
    Problem.objects.create(
        source=source, entity_ref=SHOP, rule="test", message="Odd.", first_seen_at=now, last_seen_at=now
    )
    match how:
        case "delete":
            delete_entity(actor=CURATOR, ref=parse_ref(SHOP), when=ANY_VERSION)
        case "by uid":
            remove_by_uid(actor=CURATOR, uid=str(written_.entity.uid))
        case "rename":
            rename_entity(actor=CURATOR, ref=parse_ref(SHOP), name="store", when=ANY_VERSION)
        case "write":
            put_entity(
                actor=CURATOR, ref=parse_ref(SHOP), document=written("shop", title="New"), when=ANY_VERSION
            )
    assert not Problem.objects.unrestricted("test").filter(source=source).exists()


def test_a_source_that_is_switched_off_keeps_nothing_more() -> None:
    put_entity(actor=CURATOR, ref=parse_ref(SHOP), document=written("shop"))
    Source.objects.filter(type=Source.Type.MANAGED).update(enabled=False)
    with pytest.raises(ConflictError, match="switched off"):
        put_entity(
            actor=CURATOR, ref=parse_ref(SHOP), document=written("shop", title="New"), when=ANY_VERSION
        )
    assert entity(SHOP).revision == 1
