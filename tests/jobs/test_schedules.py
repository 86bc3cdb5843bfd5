"""Work that comes back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from portal.access.viewer import ANONYMOUS, Viewer
from portal.audit.models import AuditEvent
from portal.core.errors import InputError
from portal.jobs.management.commands import scheduler
from portal.jobs.models import Job, Schedule
from portal.jobs.services import remove_schedule, set_schedule, tick
from tests.factories.jobs import ScheduleFactory
from tests.jobs.conftest import Bell

pytestmark = pytest.mark.django_db
ADMIN = Viewer(actor="user:admin", user_id=1, is_staff=True)


def _set(**values: Any) -> Schedule:
    defaults: dict[str, Any] = {"name": "sync", "kind": "tests.echo", "payload": {"n": 1}, "every": 300}
    return set_schedule(actor=ADMIN, **{**defaults, **values})


def test_a_new_schedule_starts_within_its_first_interval() -> None:
    made = _set(every=100)
    assert (
        timezone.now() + timedelta(seconds=15) < made.next_run_at <= timezone.now() + timedelta(seconds=101)
    )


def test_a_shorter_interval_counts_from_now_on() -> None:
    _set(every=86_400)
    changed = _set(every=60)
    assert changed.next_run_at <= timezone.now() + timedelta(seconds=61)


def test_changes_are_audited_and_repetition_is_not() -> None:
    for every in (300, 300, 60):
        _set(every=every)
    remove_schedule(name="sync", actor=ADMIN)
    remove_schedule(name="sync", actor=ADMIN)
    rows = AuditEvent.objects.order_by("id").values_list("verb", "before", "after__every")
    assert list(rows) == [
        ("jobs.schedule.created", None, 300),
        ("jobs.schedule.changed", {"every": 300}, 60),
        ("jobs.schedule.removed", {"kind": "tests.echo", "every": 60}, None),
    ]


@pytest.mark.parametrize("values", [{"every": 0}, {"every": -5}, {"jitter": -1}])
def test_an_interval_has_to_be_one(values: dict[str, int]) -> None:
    with pytest.raises(InputError):
        _set(**values)


def test_a_due_schedule_queues_one_job_and_waits_for_its_next_time(bell: Bell) -> None:
    row = ScheduleFactory(every=60, jitter=30, payload={"n": 1}, subject="acme")
    ScheduleFactory(enabled=False)
    ScheduleFactory(next_run_at=timezone.now() + timedelta(seconds=30))
    now = timezone.now() + timedelta(seconds=1)
    with time_machine.travel(now, tick=False):
        assert (tick(), tick()) == (1, 0)
    job = Job.objects.get()
    assert (job.kind, job.payload, job.subject, job.actor) == (
        "tests.echo",
        {"n": 1},
        "acme",
        "system:scheduler",
    )
    row.refresh_from_db()
    assert row.last_run_at == now
    assert now + timedelta(seconds=60) <= row.next_run_at <= now + timedelta(seconds=90)


def test_a_schedule_that_was_missed_runs_once_and_not_for_every_time_missed(bell: Bell) -> None:
    ScheduleFactory(every=60, next_run_at=timezone.now() - timedelta(hours=5))
    assert (tick(), tick()) == (1, 0)


def test_a_schedule_does_not_pile_up_jobs_while_nobody_works(bell: Bell) -> None:
    ScheduleFactory(every=60)
    for minutes in range(1, 6):
        with time_machine.travel(timezone.now() + timedelta(minutes=2 * minutes), tick=False):
            assert tick() == 1
    assert Job.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_schedulers_queue_a_due_job_once(bell: Bell) -> None:
    for _ in range(20):
        ScheduleFactory()
    start = Barrier(2)

    def run(_: int) -> int:
        start.wait()
        try:
            return tick()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(run, range(2))) == 20
    assert Job.objects.count() == 20


def test_schedules_are_for_curators_only() -> None:
    ScheduleFactory()
    assert Schedule.objects.visible_to(ADMIN).count() == 1
    assert Schedule.objects.visible_to(Viewer("user:member", user_id=2)).count() == 0
    assert Schedule.objects.visible_to(ANONYMOUS).count() == 0


def test_the_scheduler_does_every_chore(bell: Bell) -> None:
    ScheduleFactory()
    _set(name="other")
    call_command("scheduler", once=True)
    assert Job.objects.count() == 1
    assert AuditEvent.objects.filter(position__isnull=True).count() == 0


def test_a_chore_that_breaks_does_not_end_the_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def broken() -> None:
        done.append("broken")
        raise ValueError("a defect")

    def fine() -> None:
        done.append("fine")
        if done.count("fine") == 3:
            raise SystemExit  # the way out of the endless loop, which stands for the signal

    monkeypatch.setattr(scheduler, "CHORES", (("broken", 0.05, broken), ("fine", 0.05, fine)))
    with pytest.raises(SystemExit):
        call_command("scheduler")
    assert done.count("broken") == 1, "a chore that broke rests for a while"
