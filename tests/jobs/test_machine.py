"""Whatever workers, sweepers and people do in whatever order: a job takes legal moves only and is done once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine
from django.test import TestCase
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from portal.access.viewer import Viewer
from portal.core.errors import ConflictError
from portal.jobs import doorbell, services
from portal.jobs.models import Job
from tests.jobs import handlers as _handlers  # noqa: F401  (registers the kinds)

MAREN = Viewer(actor="user:maren", user_id=1)
LEGAL = {
    ("queued", "running"),
    ("queued", "cancelled"),
    ("running", "succeeded"),
    ("running", "failed"),
    ("running", "cancelled"),
    ("running", "queued"),
}
OVER = {"succeeded", "failed", "cancelled"}


class Jobs(RuleBasedStateMachine):
    """Two keys, several workers that may be overtaken at any time, one clock that only we move."""

    jobs = Bundle("jobs")
    held = Bundle("held")  # jobs as some worker claimed them, perhaps long ago

    @initialize()
    def begin(self) -> None:
        Job.objects.all().delete()
        self.clock = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
        self.travel = time_machine.travel(self.clock, tick=False)
        self.traveller = self.travel.start()
        self.ring, doorbell.ring = doorbell.ring, lambda job_id: True
        self.states: dict[Any, str] = {}
        self.fences: dict[Any, int] = {}
        self.done: dict[Any, int] = {}
        self.claims: list[Job] = []

    def teardown(self) -> None:
        if hasattr(self, "travel"):
            self.travel.stop()
            doorbell.ring = self.ring

    @rule(target=jobs, key=st.sampled_from(["", "a", "b"]), later=st.integers(0, 2))
    def enqueue(self, key: str, later: int) -> Job:
        when = self.clock + timedelta(minutes=later) if later else None
        return services.enqueue(actor=MAREN, kind="tests.passing", key=key, run_after=when)

    @rule(target=held, job=jobs)
    def claim(self, job: Job) -> Any:
        mine = services.claim(job_id=job.pk, worker="w")
        if mine is None:
            return multiple()
        self.claims.append(mine)
        return mine

    @rule(target=held, job=held)
    def lose_and_claim(self, job: Job) -> Any:
        """The way into what is dangerous: a worker goes quiet, another takes over, the first comes back."""
        self.wait(100)
        self.sweep()
        return self.claim(job)

    @rule(job=held, done=st.integers(0, 9))
    def report(self, job: Job, done: int) -> None:
        assert services.report(job=job, done=done, total=9, text="") == self._holds(job)

    @rule(job=consumes(held), state=st.sampled_from(["succeeded", "failed", "cancelled"]))
    def finish(self, job: Job, state: str) -> None:
        holds = self._holds(job)
        assert services.finish(job=job, state=state) == holds
        self.done[job.pk] = self.done.get(job.pk, 0) + holds

    @rule(job=held)
    def put_back(self, job: Job) -> None:
        holds = self._holds(job)
        assert services.put_back(job=job, error={"code": "tests.away"}) == holds

    @rule(job=jobs)
    def cancel(self, job: Job) -> None:
        over = Job.objects.get(pk=job.pk).is_over
        try:
            services.cancel(actor=MAREN, job=job)
        except ConflictError:
            assert over
        else:
            assert not over

    @rule()
    def sweep(self) -> None:
        services.sweep()

    @rule(seconds=st.sampled_from([1, 30, 100, 600]))
    def wait(self, seconds: int) -> None:
        self.clock += timedelta(seconds=seconds)
        self.traveller.move_to(self.clock)

    def _holds(self, job: Job) -> bool:
        row = Job.objects.get(pk=job.pk)
        return row.state == Job.State.RUNNING and row.fence == job.fence

    @invariant()
    def every_move_is_legal(self) -> None:
        for job in Job.objects.all():
            before = self.states.get(job.pk, "queued")
            assert before == job.state or (before, job.state) in LEGAL, f"{before} -> {job.state}"
            assert job.fence >= self.fences.get(job.pk, 0) and job.fence == job.attempts
            self.states[job.pk], self.fences[job.pk] = job.state, job.fence

    @invariant()
    def only_the_worker_that_claimed_last_can_write(self) -> None:
        for job in self.claims[-6:]:
            assert services.report(job=job, done=0, total=0, text="") == self._holds(job)

    @invariant()
    def no_job_is_done_twice(self) -> None:
        assert all(count <= 1 for count in self.done.values())

    @invariant()
    def one_job_waits_for_each_key(self) -> None:
        waiting = Job.objects.filter(state="queued").exclude(key="").values_list("key", flat=True)
        assert len(set(waiting)) == len(waiting)

    @invariant()
    def rows_say_what_their_state_says(self) -> None:
        for job in Job.objects.all():
            assert (job.finished_at is not None) == (job.state in OVER)
            assert (job.lease_until is not None) == (job.state == "running")


class TestJobs(Jobs.TestCase, TestCase):  # type: ignore[misc,name-defined]  # hypothesis makes the class at run time
    settings = settings(
        max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )
