"""Append-only record of every write: who did what to which object, before and after."""

from __future__ import annotations

from typing import Any

from django.db import models

from portal.core.querysets import GuardedQuerySet


class AppendOnlyError(RuntimeError):
    """Code of ours was about to change or remove an audit record: a defect."""


class AppendOnlyQuerySet(GuardedQuerySet["AuditEvent"]):
    """Records are added and read. Only the sealer writes once more, past this class."""

    def update(self, **kwargs: Any) -> int:
        raise AppendOnlyError("Audit records are never changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError("Audit records are never removed.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> int:
        raise AppendOnlyError("Audit records are never changed.")


class AuditEvent(models.Model):
    """One write. The actor is text, not a key, so that the record outlives the person's row.

    ``position`` and ``digest`` stay empty until the sealer places the row in commit order (portal.audit.services).
    """

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=200, help_text="Who did it, such as user:maren or system:scheduler.")
    verb = models.CharField(max_length=100, help_text="What was done, such as catalog.source.created.")
    object_type = models.CharField(max_length=100)
    object_id = models.CharField(max_length=200)
    object_name = models.CharField(max_length=300, blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    note = models.TextField(blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    address = models.CharField(max_length=64, blank=True)
    position = models.BigIntegerField(null=True, unique=True, editable=False)
    digest = models.CharField(max_length=64, blank=True, editable=False)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        verbose_name = "audit record"
        ordering = ("-id",)
        indexes = [
            models.Index(fields=("object_type", "object_id", "-id"), name="audit_object"),
            models.Index(fields=("actor", "-id"), name="audit_actor"),
            models.Index(fields=("id",), name="audit_unsealed", condition=models.Q(position__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.object_name or self.object_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyError("Audit records are never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError("Audit records are never removed.")


class Checkpoint(models.Model):
    """A signed statement: the record at ``position`` had this digest at that time.

    A boundary says so of the last record that retention removes: the chain goes on from its digest. Copies kept
    elsewhere show what was cut off or written anew (docs/admins/audit.md).
    """

    class Kind(models.TextChoices):
        CHECKPOINT = "checkpoint", "Checkpoint"
        BOUNDARY = "boundary", "Boundary"

    kind = models.CharField(max_length=10, choices=Kind, editable=False)
    position = models.BigIntegerField(editable=False)
    digest = models.CharField(max_length=64, editable=False)
    at = models.DateTimeField(editable=False)
    signature = models.CharField(max_length=200, editable=False)
    written_at = models.DateTimeField(null=True, editable=False, help_text="When its copy was put elsewhere.")

    objects = GuardedQuerySet.as_manager()

    class Meta:
        verbose_name = "audit checkpoint"
        ordering = ("-position",)
        constraints = [
            models.UniqueConstraint(fields=("kind", "position"), name="audit_checkpoint_once"),
        ]

    def __str__(self) -> str:
        return f"{self.Kind(self.kind).label} at {self.position}"
