"""Work and when to do it. The row is the truth; a Celery message is only a doorbell."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from portal.access.querysets import RestrictedQuerySet


class Job(models.Model):
    """One piece of work.

    Legal moves, each a compare-and-set: queued -> running -> succeeded | failed | cancelled;
    queued -> cancelled; running -> queued (its lease ran out, or it asked to be tried again).
    ``fence`` grows with every claim, so a worker that lost its lease cannot write any more.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=100, help_text="Name of the handler, such as catalog.sync_source.")
    subject = models.CharField(max_length=200, blank=True, help_text="What it works on, for people.")
    payload = models.JSONField(default=dict, blank=True)
    key = models.CharField(max_length=200, blank=True, help_text="At most one queued job has this key.")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    actor = models.CharField(max_length=200)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    run_after = models.DateTimeField(default=timezone.now)
    rung_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=100, blank=True)
    cancel_requested = models.BooleanField(default=False)
    progress_done = models.PositiveIntegerField(default=0)
    progress_total = models.PositiveIntegerField(default=0)
    progress_text = models.CharField(max_length=200, blank=True)
    result = models.JSONField(null=True, blank=True)
    error = models.JSONField(null=True, blank=True, help_text="code, message, remedy of what went wrong.")

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=("key",), condition=Q(state="queued") & ~Q(key=""), name="jobs_one_queued_per_key"
            ),
            models.CheckConstraint(
                condition=Q(state__in=("queued", "running"), finished_at__isnull=True)
                | Q(state__in=("succeeded", "failed", "cancelled"), finished_at__isnull=False),
                name="jobs_finished_when_over",
            ),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_until__isnull=False), name="jobs_running_has_a_lease"
            ),
        ]
        indexes = [
            models.Index(fields=("run_after",), name="jobs_queued", condition=Q(state="queued")),
            models.Index(fields=("lease_until",), name="jobs_running", condition=Q(state="running")),
            models.Index(fields=("kind", "-created_at"), name="jobs_kind"),
            models.Index(fields=("-created_at", "-id"), name="jobs_newest"),
            models.Index(fields=("actor", "-created_at"), name="jobs_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}".strip()

    @property
    def is_over(self) -> bool:
        return self.state in (self.State.SUCCEEDED, self.State.FAILED, self.State.CANCELLED)


class Schedule(models.Model):
    """A job that comes back."""

    name = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=100)
    subject = models.CharField(max_length=200, blank=True)
    payload = models.JSONField(default=dict, blank=True)
    every = models.PositiveIntegerField(help_text="Seconds between two runs.")
    jitter = models.PositiveIntegerField(default=0, help_text="Up to this many seconds more, at random.")
    enabled = models.BooleanField(default=True)
    next_run_at = models.DateTimeField()
    last_run_at = models.DateTimeField(null=True, blank=True)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = [models.CheckConstraint(condition=Q(every__gte=1), name="jobs_schedule_every_positive")]
        indexes = [models.Index(fields=("next_run_at",), name="jobs_schedule_due", condition=Q(enabled=True))]

    def __str__(self) -> str:
        return self.name
