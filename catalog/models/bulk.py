"""Writes to many entities at once, with what became of each, so that they can be looked at and undone."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from portal.access.querysets import RestrictedQuerySet
from portal.core.fields import CodePointField


class BulkOperation(models.Model):
    """One operation. Its job does the items that are still pending, so it goes on wherever a worker died."""

    class Verb(models.TextChoices):
        SET = "set", "Change fields"
        DELETE = "delete", "Delete"
        REFRESH = "refresh", "Read their sources again"
        UNREGISTER = "unregister", "Unregister their sources"
        UNDO = "undo", "Undo"

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        CANCELLED = "cancelled", "Ended early"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    verb = models.CharField(max_length=10, choices=Verb, editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING, editable=False)
    change = models.JSONField(null=True, editable=False, help_text="The merge patch, where fields change.")
    selection = models.JSONField(default=dict, editable=False, help_text="Which entities were asked for.")
    undoes = models.OneToOneField(
        "self", null=True, on_delete=models.SET_NULL, related_name="undone_by", editable=False
    )
    actor = models.CharField(max_length=200, editable=False)
    job_id = models.UUIDField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    total = models.PositiveIntegerField(default=0, editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [models.Index(fields=("-created_at", "-id"), name="catalog_bulk_created")]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="running", finished_at__isnull=True)
                | ~Q(state="running") & Q(finished_at__isnull=False),
                name="catalog_bulk_finished_when_over",
            )
        ]

    def __str__(self) -> str:
        return f"{self.Verb(self.verb).label} {self.total}"


class BulkItem(models.Model):
    """One entity (or source) of an operation, and what became of it."""

    class Outcome(models.TextChoices):
        PENDING = "pending", "Waits"
        DONE = "done", "Done"
        UNCHANGED = "unchanged", "Nothing to change"
        REFUSED = "refused", "Refused"

    class Effect(models.TextChoices):
        """What an undo has to turn round."""

        NONE = "", "None"
        CHANGED = "changed", "Changed"
        DELETED = "deleted", "Deleted"
        RESTORED = "restored", "Restored"
        UNREGISTERED = "unregistered", "Unregistered"
        REGISTERED = "registered", "Registered"
        READ = "read", "Will be read"

    operation = models.ForeignKey(BulkOperation, on_delete=models.CASCADE, related_name="items")
    position = models.PositiveIntegerField(editable=False)
    ref = CodePointField(
        max_length=200, editable=False, help_text="Reference of the entity, or name of the source."
    )
    subject = models.UUIDField(editable=False, help_text="uid of the entity, or id of the source.")
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.PENDING, editable=False)
    reason = models.CharField(max_length=500, blank=True, editable=False)
    effect = models.CharField(max_length=12, choices=Effect, default=Effect.NONE, blank=True, editable=False)
    before_number = models.PositiveIntegerField(
        null=True, editable=False, help_text="The version that was looked at, and is ended."
    )
    after_number = models.PositiveIntegerField(
        null=True, editable=False, help_text="The version that this operation wrote."
    )
    plan = models.JSONField(
        default=dict,
        editable=False,
        help_text="Of an undo, what it turns round; of an unregistered source, what registers it again.",
    )

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("operation", "position")
        constraints = [
            models.UniqueConstraint(fields=("operation", "position"), name="catalog_bulkitem_once")
        ]
        indexes = [
            models.Index(
                fields=("operation", "position"),
                name="catalog_bulkitem_pending",
                condition=Q(outcome="pending"),
            )
        ]

    def __str__(self) -> str:
        return self.ref
