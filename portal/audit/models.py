"""Append-only record of every write: who did what to which object, before and after."""

from __future__ import annotations

from django.db import models

from portal.core.querysets import GuardedQuerySet


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

    objects = GuardedQuerySet.as_manager()

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
