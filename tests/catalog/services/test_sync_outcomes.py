"""Readings are counted once each by how they ended, and a source that keeps failing says so once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Sum
from django.utils import timezone

from catalog.ingest.collected import Collected
from catalog.models import Kind, Source, Sync, SyncCount
from catalog.query.reliability import readings, together
from catalog.services import sync_outcomes, syncing
from catalog.services.publishing import Counts
from catalog.services.sources import create_source, request_sync
from catalog.services.sync_outcomes import EVER, note_outcome
from portal.events.models import Event
from portal.jobs.models import Job
from portal.jobs.running import JobContext, LostLeaseError, run_job
from tests.factories.sources import SYSTEM, Folder, component
from tests.factories.world import make_source
from tests.services.http_server import Reply, Server, serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = (tmp_path,)
    made = Folder(tmp_path / "company")
    made.write("shop.yaml", component("shop"))
    return made


def counted(source: Source | None = None) -> dict[str, int]:
    rows = SyncCount.objects.unrestricted("test")
    rows = rows.filter(source=source) if source else rows
    return dict(rows.order_by().values_list("outcome").annotate(n=Sum("count")))


def events() -> list[str]:
    rows = Event.objects.unrestricted("test").filter(
        type__in=("catalog.source.failing", "catalog.source.recovered")
    )
    return list(rows.order_by("pk").values_list("type", flat=True))


@pytest.mark.req("R177")
def test_of_a_hundred_readings_one_failure_gives_ninety_nine_hundredths_and_outages_are_told_apart() -> None:
    source = make_source()
    for outcome, times in (("success", 99), ("failed", 1), ("outage", 7), ("interrupted", 2)):
        for _ in range(times):
            note_outcome(source=source, outcome=outcome, error="", now=timezone.now())
    found = readings(SYSTEM)[source.name]
    assert (found.share.good, found.share.total, found.share.ratio) == (99, 100, 0.99)
    assert (found.outage, found.interrupted) == (7, 2)
    assert together(readings(SYSTEM)).share.ratio == 0.99


def test_every_attempt_is_counted_however_few_records_are_kept(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "KEPT_SYNCS", 2)
    for _ in range(6):
        folder.sync()
    assert Sync.objects.unrestricted("test").count() == 2
    assert counted() == {"success": 6}


@pytest.mark.req("R017")
def test_three_failures_in_a_row_are_told_once_and_so_is_the_recovery(folder: Folder) -> None:
    folder.sync()
    folder.path.rename(folder.path.with_name("away"))
    for failures in range(1, 6):
        folder.try_sync()
        source = Source.objects.unrestricted("test").get(pk=folder.source.pk)  # type: ignore[union-attr]  # synced
        assert (source.failures, source.failing_since is not None) == (failures, True)
        assert events() == (["catalog.source.failing"] if failures >= 3 else [])
    folder.path.with_name("away").rename(folder.path)
    folder.sync()
    folder.sync()
    source.refresh_from_db()
    assert (source.failures, source.failing_since) == (0, None)
    assert events() == ["catalog.source.failing", "catalog.source.recovered"]
    assert counted() == {"success": 3, "failed": 5}


def test_two_failures_and_a_success_tell_nothing(folder: Folder) -> None:
    folder.sync()
    folder.path.rename(folder.path.with_name("away"))
    folder.try_sync()
    folder.try_sync()
    folder.path.with_name("away").rename(folder.path)
    folder.sync()
    assert events() == []


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(lambda _: Reply(503)) as running:
        yield running


def test_a_host_that_is_away_counts_as_an_outage_and_a_wrong_address_as_a_failure(
    server: Server, settings: Any
) -> None:
    settings.CALLBOARD_EGRESS_ALLOW = [f"127.0.0.1:{server.port}"]
    kinds = list(Kind.objects.unrestricted("test").values_list("name", flat=True))
    source = create_source(
        actor=SYSTEM, name="site", target=f"{server.base}/a.yaml", allowed_kinds=kinds, sync=False
    )
    for status, outcome in ((503, "outage"), (429, "outage"), (404, "failed"), (403, "failed")):
        server.answer = lambda _, status=status: Reply(status)
        run_job(request_sync(actor=SYSTEM, source=source, force=True).pk)
        last = Sync.objects.unrestricted("test").filter(source=source).latest("id")
        assert (last.state, last.outcome) == ("failed", outcome), (status, last.error)
    assert counted(source) == {"outage": 2, "failed": 2}


# --- killed at any moment


def test_a_reading_whose_worker_was_killed_is_counted_once_as_interrupted_when_it_is_read_again(
    folder: Folder,
) -> None:
    folder.sync()
    Sync.objects.create(source=folder.source, state=Sync.State.RUNNING, actor="x", started_at=timezone.now())
    folder.sync()
    folder.sync()
    assert counted() == {"success": 3, "interrupted": 1}
    assert not Sync.objects.unrestricted("test").filter(state=Sync.State.RUNNING).exists()
    assert events() == []


def test_a_worker_killed_before_the_closing_commit_leaves_no_count_and_one_killed_after_it_one(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    real = sync_outcomes.note_outcome

    def die(**values: Any) -> None:
        real(**values)
        raise KilledError  # the transaction of the closing is open: nothing of it is kept

    monkeypatch.setattr(syncing, "note_outcome", die)
    with pytest.raises(KilledError):
        folder.sync()
    assert counted() == {}
    monkeypatch.setattr(syncing, "note_outcome", real)
    Job.objects.unrestricted("test").delete()
    Source.objects.update(reading_job=None)
    folder.sync()
    assert counted() == {"success": 1, "interrupted": 1}


def test_a_worker_that_comes_back_from_the_dead_does_not_count_its_reading_again(folder: Folder) -> None:
    folder.sync()
    source = folder.source
    assert source is not None
    late = Sync.objects.create(source=source, state=Sync.State.RUNNING, actor="x", started_at=timezone.now())
    folder.sync()  # somebody else's: closes the one that seemed dead
    before = counted()
    syncing._close(source, late, syncing._Outcome(Sync.State.DONE, Counts()), Collected())
    assert counted() == before
    late.refresh_from_db()
    assert late.outcome == Sync.Outcome.INTERRUPTED


def test_losing_the_lease_is_an_interruption_and_no_failure_of_the_source(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(self: JobContext) -> None:
        raise LostLeaseError("another worker has it")

    folder.sync()
    monkeypatch.setattr(JobContext, "checkpoint", lost, raising=True)
    folder.write("shop.yaml", component("shop", extra="title: new"))
    folder.try_sync()
    assert Source.objects.unrestricted("test").get().failures == 0
    assert "failed" not in counted()


# --- for ever


def test_days_that_nobody_looks_at_are_added_up_and_the_total_never_shrinks() -> None:
    source = make_source()
    today = date(2026, 6, 1)
    for days in (900, 500, 300):
        SyncCount.objects.create(source=source, outcome="success", day=today - timedelta(days=days), count=10)
    now = timezone.now().replace(year=2026, month=6, day=1)
    note_outcome(source=source, outcome="success", error="", now=now)
    note_outcome(source=source, outcome="success", error="", now=now)
    rows = dict(SyncCount.objects.unrestricted("test").values_list("day", "count"))
    assert rows == {EVER: 20, today - timedelta(days=300): 10, today: 2}
    assert readings(SYSTEM, days=None, now=now)[source.name].success == 32
    assert readings(SYSTEM, now=now)[source.name].success == 2
