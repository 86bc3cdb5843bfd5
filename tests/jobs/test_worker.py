"""Real worker processes: what a person or a machine does to them, no job is lost and none is done twice.

They run on the database and the broker of the test run: SQLite and the broker in a folder, or PostgreSQL and Redis.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone

from portal.access.viewer import Viewer
from portal.audit.models import AuditEvent
from portal.jobs.models import Job
from portal.jobs.services import cancel, enqueue, sweep
from tests.jobs import handlers as _handlers  # noqa: F401  (this process queues what the worker does)
from tests.jobs.worker import until, worker

pytestmark = pytest.mark.django_db(transaction=True)
MAREN = Viewer(actor="user:maren", user_id=1)


@pytest.fixture(autouse=True)
def empty_broker(settings: Any) -> None:
    folder = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("data_folder_in")
    if folder:
        for name in ("data_folder_in", "control_folder"):
            Path(settings.CELERY_BROKER_TRANSPORT_OPTIONS[name]).mkdir(parents=True, exist_ok=True)
        for message in Path(folder).iterdir():
            message.unlink()


def _wait_job(folder: Path, **payload: Any) -> Job:
    return enqueue(actor=MAREN, kind="tests.wait", payload={"folder": str(folder), **payload})


def _state(job: Job) -> str:
    job.refresh_from_db()
    return job.state


def _effects(job: Job) -> int:
    return AuditEvent.objects.filter(verb="tests.effect", object_id=str(job.pk)).count()


def test_a_worker_hears_the_bell_and_does_the_job(tmp_path: Path) -> None:
    with worker(tmp_path / "log"):
        (tmp_path / "go").touch()
        job = _wait_job(tmp_path)
        until(lambda: _state(job) == Job.State.SUCCEEDED, tmp_path / "log")
    assert (job.attempts, _effects(job)) == (1, 1)


def test_a_worker_killed_in_the_middle_loses_nothing_and_the_job_is_done_once(tmp_path: Path) -> None:
    with worker(tmp_path / "log") as first:
        job = _wait_job(tmp_path)
        until(lambda: (tmp_path / "started-1").exists(), tmp_path / "log")
        os.kill(first.pid, signal.SIGKILL)
        first.wait(10)
    assert _state(job) == Job.State.RUNNING, "nobody has noticed yet"
    assert sweep() == {"rung": 0, "requeued": 0, "given_up": 0}, "its lease still holds"
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))  # 90 s later
    assert sweep()["requeued"] == 1
    (tmp_path / "go").touch()
    with worker(tmp_path / "log"):
        until(lambda: _state(job) == Job.State.SUCCEEDED, tmp_path / "log")
    assert (job.attempts, job.fence, _effects(job)) == (2, 2, 1)


@pytest.mark.slow
def test_a_worker_that_was_only_frozen_cannot_write_when_it_wakes_up(tmp_path: Path) -> None:
    with worker(tmp_path / "log") as zombie:
        job = _wait_job(tmp_path)
        until(lambda: (tmp_path / "started-1").exists(), tmp_path / "log")
        os.kill(zombie.pid, signal.SIGSTOP)
        Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
        sweep()
        with worker(tmp_path / "log"):
            # With Redis the frozen process still takes the next message: the sweeper rings again, as always.
            until(lambda: sweep() and (tmp_path / "started-2").exists(), tmp_path / "log", seconds=40)
            os.kill(zombie.pid, signal.SIGCONT)  # both believe that the job is theirs
            (tmp_path / "go").touch()
            until(lambda: _state(job) == Job.State.SUCCEEDED, tmp_path / "log")
            time.sleep(1)
    assert (job.attempts, _effects(job)) == (2, 1)
    assert job.result is not None and job.result["pid"] == int((tmp_path / "started-2").read_text())


@pytest.mark.slow
def test_messages_that_died_with_a_worker_are_rung_again_by_the_sweeper(tmp_path: Path) -> None:
    """More jobs than the killed worker had threads: their doorbells were in its memory."""
    (tmp_path / "go").touch()
    with worker(tmp_path / "log", threads=1) as first:
        slow = enqueue(
            actor=MAREN, kind="tests.wait", payload={"folder": str(tmp_path / "slow"), "seconds": 60}
        )
        (tmp_path / "slow").mkdir()
        waiting = [_wait_job(tmp_path) for _ in range(5)]
        until(lambda: (tmp_path / "slow" / "started-1").exists(), tmp_path / "log")
        os.kill(first.pid, signal.SIGKILL)
        first.wait(10)
    past = timezone.now() - timedelta(seconds=100)
    Job.objects.filter(pk=slow.pk).update(lease_until=past)
    Job.objects.filter(state=Job.State.QUEUED).update(rung_at=past, run_after=past)
    (tmp_path / "slow" / "go").touch()
    sweep()
    with worker(tmp_path / "log"):
        until(lambda: all(_state(job) == Job.State.SUCCEEDED for job in [*waiting, slow]), tmp_path / "log")
    assert [_effects(job) for job in [*waiting, slow]] == [1] * 6


@pytest.mark.slow
def test_a_job_in_another_process_hears_of_its_cancellation(tmp_path: Path) -> None:
    with worker(tmp_path / "log"):
        job = _wait_job(tmp_path)
        until(lambda: (tmp_path / "started-1").exists(), tmp_path / "log")
        cancel(actor=MAREN, job=job)
        until(lambda: _state(job) == Job.State.CANCELLED, tmp_path / "log", seconds=10)
    assert _effects(job) == 0


@pytest.mark.slow
def test_a_worker_that_is_asked_to_stop_finishes_what_it_does(tmp_path: Path) -> None:
    with worker(tmp_path / "log") as process:
        job = _wait_job(tmp_path)
        until(lambda: (tmp_path / "started-1").exists(), tmp_path / "log")
        process.terminate()
        time.sleep(0.5)
        (tmp_path / "go").touch()
        process.wait(20)
    assert (_state(job), job.attempts, _effects(job)) == (Job.State.SUCCEEDED, 1, 1)


@pytest.mark.slow
def test_a_database_locked_for_half_a_minute_makes_no_job_run_twice(tmp_path: Path) -> None:
    """SQLite: another process holds the write lock for 30 s, longer than anybody waits for it in one go."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has no such lock")
    (tmp_path / "go").touch()
    with worker(tmp_path / "log"):
        jobs = [_wait_job(tmp_path) for _ in range(2)]
        until(lambda: all(_state(job) == Job.State.SUCCEEDED for job in jobs), tmp_path / "log")
        (tmp_path / "go").unlink()
        for leftover in tmp_path.glob("started-*"):
            leftover.unlink()
        running = _wait_job(tmp_path)
        until(lambda: (tmp_path / "started-1").exists(), tmp_path / "log")
        held, swept = threading.Event(), []

        def hold() -> None:
            with transaction.atomic():
                AuditEvent.objects.create(at=timezone.now(), actor="lock", verb="tests.lock")
                held.set()
                time.sleep(30)
            connections.close_all()

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(5)
        (tmp_path / "go").touch()  # the job wants to write now, and to end
        while holder.is_alive():
            try:
                swept.append(sweep())
            except OperationalError:  # the sweeper cannot write either, and tries again later
                swept.append({"locked": 1})
            time.sleep(2)
        holder.join()
        until(lambda: _state(running) == Job.State.SUCCEEDED, tmp_path / "log", seconds=60)
    assert (running.attempts, _effects(running)) == (1, 1)
    assert [(_effects(job), _state(job)) for job in jobs] == [(1, Job.State.SUCCEEDED)] * 2
    assert not any(row.get("requeued") for row in swept)
