"""Jobs and schedules."""

from __future__ import annotations

from datetime import timedelta

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from portal.jobs.models import Job, Schedule


class JobFactory(DjangoModelFactory[Job]):
    class Meta:
        model = Job

    kind = "tests.echo"
    actor = "user:maren"


class RunningJobFactory(JobFactory):
    """As a worker has claimed it."""

    state = Job.State.RUNNING
    attempts = 1
    fence = 1
    worker = "host:1:1"
    started_at = factory.LazyFunction(timezone.now)
    lease_until = factory.LazyFunction(lambda: timezone.now() + timedelta(seconds=90))


class ScheduleFactory(DjangoModelFactory[Schedule]):
    class Meta:
        model = Schedule

    name = factory.Sequence(lambda n: f"schedule {n}")
    kind = "tests.echo"
    every = 60
    next_run_at = factory.LazyFunction(timezone.now)
