"""The moves of a job, one by one."""

from __future__ import annotations

from datetime import timedelta
from threading import Timer
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from portal.access.viewer import Viewer
from portal.audit.models import AuditEvent
from portal.core.context import request_id
from portal.core.errors import ConflictError
from portal.jobs import registry, services
from portal.jobs.models import Job
from portal.jobs.registry import UnknownJobKindError, job_kind, tries_of
from portal.jobs.running import JobCancelledError, JobContext, LostLeaseError, run_job
from portal.jobs.services import LEASE, beat, cancel, claim, enqueue, finish, put_back, report, sweep
from tests.factories.jobs import JobFactory, RunningJobFactory
from tests.jobs.conftest import Bell

pytestmark = pytest.mark.django_db
MAREN = Viewer(actor="user:maren", user_id=1, is_staff=True)


def _queue(**values: Any) -> Job:
    return enqueue(actor=MAREN, kind="tests.echo", **values)


def _passed(job: Job, **values: Any) -> Job:
    """The job after ``values`` were written behind everybody's back."""
    Job.objects.filter(pk=job.pk).update(**values)
    job.refresh_from_db()
    return job


# ------------------------------------------------------------------------------------------------------------- queueing


@pytest.mark.django_db(transaction=True)
def test_a_job_of_a_transaction_that_is_rolled_back_leaves_nothing_and_rings_nobody(bell: Bell) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        _queue()
        raise RuntimeError
    assert not Job.objects.exists() and bell.rung == []


@pytest.mark.django_db(transaction=True)
def test_the_bell_rings_after_the_commit_and_not_before(bell: Bell) -> None:
    with transaction.atomic():
        job = _queue()
        assert bell.rung == []
    assert bell.rung == [job.pk]
    job.refresh_from_db()
    assert job.rung_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away_does_not_disturb_the_caller(bell: Bell) -> None:
    bell.heard = False
    job = _queue()
    job.refresh_from_db()
    assert (job.state, job.rung_at) == (Job.State.QUEUED, None)


@pytest.mark.django_db(transaction=True)
def test_a_job_for_later_rings_when_its_time_has_come(bell: Bell) -> None:
    job = _queue(run_after=timezone.now() + timedelta(minutes=5))
    assert bell.rung == [] and claim(job_id=job.pk, worker="w") is None
    sweep()
    assert bell.rung == []
    with time_machine.travel(timezone.now() + timedelta(minutes=6), tick=False):
        assert sweep()["rung"] == 1
    assert bell.rung == [job.pk]


def test_the_request_that_queued_a_job_travels_with_it() -> None:
    token = request_id.set("request-1")
    try:
        assert _queue().request_id == "request-1"
    finally:
        request_id.reset(token)


def test_a_waiting_job_of_the_same_key_is_returned_instead_of_a_second_one() -> None:
    first = _queue(key="sync:1", payload={"n": 1})
    assert _queue(key="sync:1", payload={"n": 2}) == first
    assert _queue(key="sync:2") != first
    assert _queue() != _queue()
    assert Job.objects.filter(key="sync:1").count() == 1


def test_a_running_job_does_not_stand_in_for_a_new_one_of_its_key() -> None:
    first = _queue(key="sync:1")
    claim(job_id=first.pk, worker="w")
    assert _queue(key="sync:1") != first


@pytest.mark.django_db(transaction=True)
def test_asking_again_brings_a_job_for_later_forward_and_never_back(bell: Bell) -> None:
    later = timezone.now() + timedelta(hours=1)
    first = _queue(key="sync:1", run_after=later)
    again = _queue(key="sync:1")
    assert again == first and again.run_after <= timezone.now() and bell.rung == [first.pk]
    assert _queue(key="sync:1", run_after=later).run_after < later


def test_a_job_that_the_database_refuses_for_another_reason_says_so() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        enqueue(actor=MAREN, kind=None)  # type: ignore[arg-type]  # stands for any broken row


# ------------------------------------------------------------------------------------------------------------ claiming


def test_one_worker_claims_a_job_and_the_second_gets_nothing() -> None:
    job = _queue()
    mine = claim(job_id=job.pk, worker="a")
    assert mine is not None and claim(job_id=job.pk, worker="b") is None
    assert (mine.state, mine.worker, mine.attempts, mine.fence) == (Job.State.RUNNING, "a", 1, 1)
    assert mine.lease_until is not None and mine.lease_until > timezone.now() + LEASE / 2


def test_an_unknown_or_finished_job_is_not_claimed() -> None:
    done = JobFactory(state=Job.State.SUCCEEDED, finished_at=timezone.now())
    assert claim(job_id=done.pk, worker="w") is None
    assert claim(job_id="00000000-0000-0000-0000-000000000000", worker="w") is None


def test_every_write_of_a_zombie_is_refused() -> None:
    job = _queue()
    zombie = claim(job_id=job.pk, worker="a")
    assert zombie is not None
    _passed(job, lease_until=timezone.now() - timedelta(seconds=1))
    assert sweep()["requeued"] == 1
    heir = claim(job_id=job.pk, worker="b")
    assert heir is not None and heir.fence == 2
    assert not beat(job=zombie)
    assert not report(job=zombie, done=1, total=2, text="")
    assert not put_back(job=zombie, error={})
    assert not finish(job=zombie, state=Job.State.SUCCEEDED)
    context = JobContext(zombie)
    with pytest.raises(LostLeaseError), context.writing():
        AuditEvent.objects.create(at=timezone.now(), actor="zombie", verb="tests.effect")
    assert not AuditEvent.objects.filter(actor="zombie").exists()
    with pytest.raises(LostLeaseError):
        context.checkpoint()
    assert context.stopped()
    assert finish(job=heir, state=Job.State.SUCCEEDED)


def test_a_fenced_transaction_that_breaks_leaves_nothing_and_keeps_the_lease() -> None:
    job = claim(job_id=_queue().pk, worker="a")
    assert job is not None
    context = JobContext(job)
    with pytest.raises(ZeroDivisionError), context.writing():
        AuditEvent.objects.create(at=timezone.now(), actor="x", verb="tests.effect")
        raise ZeroDivisionError
    assert not AuditEvent.objects.filter(verb="tests.effect").exists()
    context.checkpoint()


# ------------------------------------------------------------------------------------------------------------- outcome


def test_a_job_that_works_ends_with_its_result() -> None:
    job = _queue(payload={"n": 1})
    assert run_job(job.pk) == Job.State.SUCCEEDED
    job.refresh_from_db()
    assert job.result == {"echo": {"n": 1}, "actor": "user:maren"}
    assert job.finished_at is not None and job.lease_until is None and job.is_over
    assert run_job(job.pk) is None


def test_an_error_of_ours_ends_the_job_with_code_message_and_remedy() -> None:
    job = enqueue(actor=MAREN, kind="tests.fail")
    assert run_job(job.pk) == Job.State.FAILED
    job.refresh_from_db()
    assert job.error == {"code": "tests.input", "message": "This cannot work.", "remedy": "Do not try."}


def test_a_defect_ends_one_job_and_not_the_worker() -> None:
    job = enqueue(actor=MAREN, kind="tests.defect")
    assert run_job(job.pk) == Job.State.FAILED
    job.refresh_from_db()
    assert job.error is not None and job.error["code"] == "jobs.defect"
    assert job.error["message"] == "ZeroDivisionError: one by nothing" and str(job.pk) in job.error["remedy"]


def test_a_kind_that_nobody_installed_says_so() -> None:
    job = enqueue(actor=MAREN, kind="tests.nobody")
    assert run_job(job.pk) == Job.State.FAILED
    job.refresh_from_db()
    assert job.error is not None and job.error["code"] == "jobs.kind_unknown"
    with pytest.raises(UnknownJobKindError):
        job_kind("tests.nobody")
    assert tries_of("tests.nobody") == 5 and tries_of("tests.passing") == 3


def test_a_passing_error_tries_again_later_each_time_and_then_gives_up(bell: Bell) -> None:
    job = enqueue(actor=MAREN, kind="tests.passing", key="k")
    now = timezone.now()
    for attempt, wait in ((1, 7), (2, 14)):
        with time_machine.travel(now, tick=False):
            assert run_job(job.pk) == Job.State.QUEUED
            job.refresh_from_db()
            assert (job.attempts, job.run_after) == (attempt, now + timedelta(seconds=wait))
            assert job.error is not None and job.error["code"] == "tests.away"
        now += timedelta(seconds=wait)
    with time_machine.travel(now, tick=False):
        assert run_job(job.pk) == Job.State.FAILED


def test_a_job_whose_outcome_came_too_late_reports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    job = _queue()
    real = job_kind("tests.echo").handler

    def overtaken(context: JobContext) -> Any:
        _passed(job, fence=99)
        return real(context)

    monkeypatch.setitem(registry._kinds, "tests.echo", registry.JobKind("tests.echo", overtaken))
    assert run_job(job.pk) is None
    job.refresh_from_db()
    assert job.state == Job.State.RUNNING


# ----------------------------------------------------------------------------------------- cancel, progress


def test_a_waiting_job_is_cancelled_at_once_and_audited() -> None:
    job = _queue()
    cancel(actor=MAREN, job=job)
    job.refresh_from_db()
    assert job.state == Job.State.CANCELLED and job.finished_at is not None
    assert run_job(job.pk) is None
    assert AuditEvent.objects.get().verb == "jobs.job.cancelled"
    with pytest.raises(ConflictError):
        cancel(actor=MAREN, job=job)


@pytest.mark.django_db(transaction=True)
def test_a_running_job_hears_within_seconds_that_it_was_cancelled(tmp_path: Any, bell: Bell) -> None:
    job = enqueue(actor=MAREN, kind="tests.wait", payload={"folder": str(tmp_path), "seconds": 20})

    def stop() -> None:
        cancel(actor=MAREN, job=job)
        connection.close()

    Timer(0.3, stop).start()
    started = timezone.now()
    assert run_job(job.pk) == Job.State.CANCELLED
    assert timezone.now() - started < timedelta(seconds=5)
    assert not AuditEvent.objects.filter(verb="tests.effect").exists()


def test_a_job_cancelled_while_its_worker_died_does_not_run_again(bell: Bell) -> None:
    job = RunningJobFactory(cancel_requested=True, lease_until=timezone.now() - timedelta(seconds=1))
    sweep()
    job.refresh_from_db()
    assert job.state == Job.State.CANCELLED


def test_a_job_claimed_with_the_wish_to_cancel_ends_before_it_begins() -> None:
    job = _passed(_queue(), cancel_requested=True)
    with pytest.raises(JobCancelledError):
        JobContext(job).checkpoint()
    assert run_job(job.pk) == Job.State.CANCELLED


def test_progress_is_written_at_most_twice_a_second(django_assert_num_queries: Any) -> None:
    job = claim(job_id=_queue().pk, worker="a")
    assert job is not None
    context = JobContext(job)
    with django_assert_num_queries(1):
        for done in range(100):
            context.progress(done, 100, "reading files")
    context.progress(100, 100, "x" * 500, now=True)
    job.refresh_from_db()
    assert (job.progress_done, job.progress_total, len(job.progress_text)) == (100, 100, 200)


# -------------------------------------------------------------------------------------------------------------- sweeper


def test_a_lost_doorbell_is_rung_again_and_ever_less_often(bell: Bell) -> None:
    start = timezone.now()
    job = JobFactory(created_at=start, run_after=start)
    rung = []
    for second in range(0, 600, 2):
        with time_machine.travel(start + timedelta(seconds=second), tick=False):
            if sweep()["rung"]:
                rung.append(second)
    assert bell.rung == [job.pk] * len(rung)
    assert rung[0] == 2, "within two seconds of being lost"
    assert rung[1] <= 10
    assert len(rung) < 12, "a queue that waits for long is not flooded with messages"


def test_a_ring_that_is_seconds_old_is_given_its_time(bell: Bell) -> None:
    JobFactory(
        created_at=timezone.now() - timedelta(seconds=60), rung_at=timezone.now() - timedelta(seconds=2)
    )
    assert sweep()["rung"] == 0


def test_a_job_whose_worker_is_gone_runs_again_until_its_tries_are_used_up(bell: Bell) -> None:
    past = timezone.now() - timedelta(seconds=1)
    earlier = timezone.now() - timedelta(minutes=3)
    again = RunningJobFactory(kind="tests.wait", attempts=2, lease_until=past, key="k", created_at=earlier)
    JobFactory(key="k", rung_at=timezone.now())  # a newer one waits already
    over = RunningJobFactory(kind="tests.wait", attempts=3, lease_until=past)
    alive = RunningJobFactory(kind="tests.wait")
    assert sweep() == {"rung": 1, "requeued": 1, "given_up": 1}
    for job in (again, over, alive):
        job.refresh_from_db()
    assert (again.state, over.state, alive.state) == (Job.State.QUEUED, Job.State.FAILED, Job.State.RUNNING)
    assert (
        over.error is not None
        and over.error["code"] == "jobs.worker_lost"
        and "3 times" in over.error["message"]
    )
    assert bell.rung == [again.pk]


def test_two_sweepers_do_not_both_requeue(bell: Bell, monkeypatch: pytest.MonkeyPatch) -> None:
    job = RunningJobFactory(lease_until=timezone.now() - timedelta(seconds=1))
    stale = Job.objects.get(pk=job.pk)
    assert sweep()["requeued"] == 1
    claim(job_id=job.pk, worker="b")
    same = Job.objects.filter(
        pk=stale.pk, state=Job.State.RUNNING, fence=stale.fence, lease_until=stale.lease_until
    )
    assert same.update(state=Job.State.QUEUED) == 0


def test_finished_jobs_are_forgotten_after_a_month() -> None:
    old = timezone.now() - timedelta(days=31)
    JobFactory(state=Job.State.SUCCEEDED, finished_at=old)
    JobFactory(state=Job.State.FAILED, finished_at=timezone.now())
    JobFactory(created_at=old)
    assert services.forget_old_jobs() == 1
    assert Job.objects.count() == 2
