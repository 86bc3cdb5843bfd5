"""What is kept beside entities so that questions about their health are exact and cheap."""

from __future__ import annotations

from django.db import models

from catalog.models.source import Source, Sync
from portal.access.querysets import RestrictedQuerySet
from portal.core.fields import CodePointField


class MissingTarget(models.Model):
    """A reference that stands in a relation and is no entity.

    The other end of the relation need not be one either: an entity that cannot be shown has relations, too. Whoever
    counts what leads nowhere for somebody asks for ``references.missing_targets``.

    Written by the publications that make it so or end it, in their transactions.
    """

    ref = CodePointField(max_length=260, editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("ref",)
        constraints = [models.UniqueConstraint(fields=("ref",), name="catalog_missing_target_ref")]

    def __str__(self) -> str:
        return self.ref


class SyncCount(models.Model):
    """Readings of one source on one day (UTC) that ended one way; sync records themselves are kept for a while only.

    Days too old to be looked at are added up under ``EVER``, so that totals never shrink.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="sync_counts", editable=False)
    day = models.DateField(editable=False)
    outcome = models.CharField(max_length=12, choices=Sync.Outcome, editable=False)
    count = models.PositiveBigIntegerField(default=0, editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("-day", "source", "outcome")
        constraints = [
            models.UniqueConstraint(fields=("source", "day", "outcome"), name="catalog_sync_count_once")
        ]

    def __str__(self) -> str:
        return f"{self.source_id} {self.day} {self.outcome}: {self.count}"
