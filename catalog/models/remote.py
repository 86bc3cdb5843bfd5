"""What was read from another instance: each entity as it was listed there, and what each reading came to."""

from __future__ import annotations

from django.db import models

from catalog.models.source import Source, Sync
from portal.access.querysets import RestrictedQuerySet
from portal.core.fields import CodePointField


class RemoteEntry(models.Model):
    """One entity of another instance, and what became of it here.

    Not a ``SourceFile``: those are written anew by every reading, while of 10,000 entities a reading changes a few,
    and the outcome of the others has to stay with them.
    """

    class Outcome(models.TextChoices):
        TAKEN = "taken", "Taken"
        CONFLICT = "conflict", "Another source has it"
        REFUSED = "refused", "Refused"
        LEFT_OUT = "left-out", "Left out"
        LATER = "later", "Left for the next reading"

    source = models.ForeignKey(
        Source, on_delete=models.CASCADE, related_name="remote_entries", editable=False
    )
    ref = CodePointField(max_length=200, editable=False)
    kind = CodePointField(max_length=63, editable=False)
    mark = models.CharField(
        max_length=40,
        blank=True,
        editable=False,
        help_text="Of its uid and etag there; empty to read it again.",
    )
    outcome = models.CharField(max_length=10, choices=Outcome, editable=False)
    reason = models.TextField(blank=True, editable=False)
    origin = models.TextField(
        blank=True, editable=False, help_text="Registered location that it came from there."
    )
    status_error = models.TextField(blank=True, editable=False, help_text="What its status says there.")
    lost = models.JSONField(
        default=list, editable=False, help_text="Relations shown there and not here: type and target."
    )
    lost_count = models.PositiveIntegerField(default=0, editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("ref",)
        verbose_name_plural = "remote entries"
        constraints = [models.UniqueConstraint(fields=("source", "ref"), name="catalog_remote_entry_once")]

    def __str__(self) -> str:
        return self.ref


class RemoteReport(models.Model):
    """What one reading of another instance took and lost. Goes with its sync."""

    source = models.ForeignKey(
        Source, on_delete=models.CASCADE, related_name="remote_reports", editable=False
    )
    sync = models.OneToOneField(Sync, on_delete=models.CASCADE, related_name="remote_report", editable=False)
    data = models.JSONField(editable=False)
    created_at = models.DateTimeField(editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        indexes = [models.Index(fields=("source", "-created_at"), name="catalog_remote_report")]

    def __str__(self) -> str:
        return f"report of {self.source_id} {self.created_at:%Y-%m-%d %H:%M}"
