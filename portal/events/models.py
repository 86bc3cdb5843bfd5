"""The outbox: what happened, for everybody who listens."""

from __future__ import annotations

from django.db import models

from portal.access.querysets import RestrictedQuerySet


class Event(models.Model):
    """One thing that happened, written in the transaction in which it happened.

    Readers see only rows with a ``position``; the sealer gives it in commit order, so a cursor never skips a row.
    """

    type = models.CharField(max_length=100, help_text="Such as catalog.entity.changed.")
    subject = models.CharField(max_length=300, help_text="What it happened to, usually a reference.")
    data = models.JSONField(default=dict)
    at = models.DateTimeField()
    position = models.BigIntegerField(null=True, unique=True, editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("position",)
        indexes = [
            models.Index(fields=("id",), name="event_unsealed", condition=models.Q(position__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.subject}"
