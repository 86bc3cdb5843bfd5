"""What went, and what is kept from going."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from catalog.models.revision import Revision
from catalog.models.source import Source
from portal.access.querysets import RestrictedQuerySet
from portal.core.fields import CodePointField


class Tombstone(models.Model):
    """An entity that was removed, with all that brings it back until ``keep_until``."""

    class Reason(models.TextChoices):
        UNDECLARED = "undeclared", "No longer declared"
        UNREGISTERED = "unregistered", "Its source was removed"
        DELETED = "deleted", "Deleted by hand"

    ref = CodePointField(max_length=200, editable=False)
    uid = models.UUIDField(editable=False)
    kind = CodePointField(max_length=63, editable=False)
    namespace = CodePointField(max_length=63, editable=False)
    name = CodePointField(max_length=63, editable=False)
    owner_ref = CodePointField(max_length=260, null=True, blank=True, editable=False)
    revision = models.OneToOneField(
        Revision,
        on_delete=models.PROTECT,
        related_name="tombstone",
        editable=False,
        help_text="Its last version.",
    )
    reason = models.CharField(max_length=12, choices=Reason, editable=False)
    source = models.ForeignKey(Source, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    source_name = models.CharField(max_length=120, blank=True, editable=False)
    sync_id = models.BigIntegerField(null=True, editable=False)
    actor = models.CharField(
        max_length=200, blank=True, editable=False, help_text="Who removed it; empty for a sync."
    )
    removed_at = models.DateTimeField(editable=False)
    keep_until = models.DateTimeField(editable=False)
    restored_at = models.DateTimeField(null=True, editable=False)
    restored_by = models.CharField(max_length=200, blank=True, editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("-removed_at", "-id")
        indexes = [
            models.Index(fields=("ref", "-removed_at"), name="catalog_tombstone_ref"),
            models.Index(fields=("-removed_at",), name="catalog_tombstone_removed"),
            models.Index(fields=("keep_until",), name="catalog_tombstone_keep"),
        ]

    def __str__(self) -> str:
        return self.ref

    @property
    def may_return(self) -> bool:
        """Whether it can still be restored, as far as its own row says."""
        return self.restored_at is None and self.keep_until > timezone.now()


class Quarantine(models.Model):
    """Removals of one source that wait for somebody's decision, because they are so many."""

    class State(models.TextChoices):
        PENDING = "pending", "Waits for a decision"
        ACCEPTED = "accepted", "Accepted"
        REJECTED = "rejected", "Rejected"

    source = models.OneToOneField(Source, on_delete=models.CASCADE, related_name="quarantine", editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING, editable=False)
    refs = models.JSONField(editable=False, help_text="What would go, sorted.")
    digest = models.CharField(
        max_length=40, editable=False, help_text="Of these references: a decision is about them."
    )
    count = models.PositiveIntegerField(editable=False)
    total = models.PositiveIntegerField(editable=False, help_text="Entities of the source before.")
    sync_id = models.BigIntegerField(editable=False)
    created_at = models.DateTimeField(editable=False)
    decided_at = models.DateTimeField(null=True, editable=False)
    decided_by = models.CharField(max_length=200, blank=True, editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        verbose_name = "held removal"

    def __str__(self) -> str:
        return f"{self.count} of {self.total} entities of {self.source_id}"
