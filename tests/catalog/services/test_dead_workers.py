"""What a worker, a web process or a whole source leaves behind when it goes in the middle of a reading."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import Entity, Source, Sync
from catalog.services import removals, syncing
from catalog.services.removals import remove_by_uid
from catalog.services.sources import delete_source, request_sync
from portal.jobs.models import Job
from portal.jobs.running import LostLeaseError, run_job
from portal.jobs.services import claim
from tests.factories.sources import SYSTEM, Folder, component, entity, exists

pytestmark = pytest.mark.django_db(transaction=True)
SHOP = "component:default/shop"


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    made = Folder(tmp_path / "one", "one")
    made.write("a.yaml", component("shop"))
    return made


def dies(*args: Any, **kwargs: Any) -> None:
    """Stands for ``kill -9``: nothing is written any more, not even that it failed."""
    raise LostLeaseError("killed")


def test_the_open_sync_of_a_dead_worker_is_closed_by_the_next_one(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.sync()
    with monkeypatch.context() as patched:
        patched.setattr(syncing, "_read_and_publish", dies)
        folder.try_sync(force=True)
    assert folder.last_sync.state == Sync.State.RUNNING
    Job.objects.filter(state=Job.State.RUNNING).update(
        state="failed", finished_at=timezone.now(), lease_until=None
    )
    folder.sync(force=True)
    states = Sync.objects.unrestricted("test").order_by("started_at").values_list("state", "error")
    assert list(states) == [
        ("done", ""), ("failed", "Its worker stopped before the end; it was read again."), ("done", ""),
    ]  # fmt: skip


def test_a_worker_that_dies_after_its_publication_leaves_the_readings_of_the_heirs_queued(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.sync(interval=0)
    other = Folder(tmp_path / "two", "two")
    other.write("a.yaml", component("shop", owner="second"))
    other.sync(interval=0)
    assert entity(SHOP).source_id == folder.source.pk
    folder.remove("a.yaml")
    folder.write("b.yaml", component("cart"))
    monkeypatch.setattr(syncing, "replace_problems", dies)
    folder.try_sync()
    assert not exists(SHOP), "it was published"
    queued = Job.objects.unrestricted("test").filter(state=Job.State.QUEUED, subject="two")
    monkeypatch.undo()
    run_job(queued.get().pk)
    assert entity(SHOP).source_id == other.source.pk


def test_a_worker_that_lost_its_job_leaves_the_mark_of_the_next_try(folder: Folder) -> None:
    folder.sync()
    job = request_sync(actor=SYSTEM, source=folder.source, force=True)
    original = syncing._read_and_publish

    def slowly(context: Any, *args: Any, **kwargs: Any) -> Any:
        """Another worker takes the job over while this one reads."""
        Job.objects.filter(pk=job.pk).update(state="queued", lease_until=None)
        assert claim(job_id=job.pk, worker="another") is not None
        return original(context, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(syncing, "_read_and_publish", slowly)
        assert run_job(job.pk) is None
    assert Source.objects.unrestricted("test").get().reading_job == job.pk
    assert folder.last_sync.state == Sync.State.RUNNING, "it belongs to the other worker"


@pytest.mark.parametrize("moment", ["_read_and_publish", "collect", "publish"])
def test_a_source_that_is_removed_while_it_is_read_ends_the_reading(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    folder.sync()
    folder.write("a.yaml", component("shop", owner="other"), component("cart"))
    original = getattr(syncing, moment)

    def removed_first(*args: Any, **kwargs: Any) -> Any:
        delete_source(actor=SYSTEM, source=folder.source)
        return original(*args, **kwargs)

    monkeypatch.setattr(syncing, moment, removed_first)
    job = folder.try_sync()
    assert job.error is not None and job.error["code"] == "catalog.source.gone"
    assert not exists(SHOP) and not exists("component:default/cart")


def test_a_reading_that_waits_for_its_turn_ends_when_the_source_goes(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.sync()
    other = Job.objects.create(
        kind="catalog.sync_source", actor="test", state=Job.State.RUNNING,
        lease_until=timezone.now() + timedelta(minutes=1),
    )  # fmt: skip
    Source.objects.filter(pk=folder.source.pk).update(reading_job=other.pk)
    monkeypatch.setattr(
        syncing.time,
        "sleep",
        lambda _: Source.objects.unrestricted("test").filter(pk=folder.source.pk).delete(),
    )
    Entity.objects.unrestricted("test").update(source=None)
    job = folder.try_sync(force=True)
    assert job.error is not None and job.error["code"] == "catalog.source.gone"


def test_what_is_deleted_by_hand_and_its_next_reading_stand_or_fall_together(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.sync()
    monkeypatch.setattr(removals, "request_sync", dies)
    with pytest.raises(LostLeaseError):
        remove_by_uid(actor=SYSTEM, uid=str(entity(SHOP).uid))
    assert exists(SHOP)
