"""What entities were before: one row for each version that another one followed, or that was removed.

The present version is the entity itself, so reading a source for the first time writes nothing here. A version is what
the source says of an entity; relations that others declare belong to their versions, and that a source is missing
is no version at all.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from catalog.models.attribute import AttributeKey, AttributeValue
from portal.access.querysets import RestrictedQuerySet
from portal.core.fields import CodePointField


class Revision(models.Model):
    """A past version of an entity, valid from ``since`` until ``until``.

    Columns that :class:`catalog.models.Entity` has too mean the same, so that one statement can be asked of both.
    """

    class End(models.TextChoices):
        CHANGED = "changed", "Changed"
        UNDECLARED = "undeclared", "No longer declared"
        UNREGISTERED = "unregistered", "Its source was removed"
        DELETED = "deleted", "Deleted by hand"

    uid = models.UUIDField(editable=False)
    number = models.PositiveIntegerField(editable=False, help_text="1 is the first version of an entity.")
    ref = CodePointField(max_length=200, editable=False)
    kind = CodePointField(max_length=63, editable=False)
    namespace = CodePointField(max_length=63, editable=False)
    name = CodePointField(max_length=63, editable=False)
    label = CodePointField(max_length=200, editable=False)
    type = CodePointField(max_length=200, null=True, blank=True, editable=False)
    lifecycle = CodePointField(max_length=200, null=True, blank=True, editable=False)
    owner_ref = CodePointField(max_length=260, null=True, blank=True, editable=False)
    system_ref = CodePointField(max_length=260, null=True, blank=True, editable=False)
    etag = models.CharField(max_length=200, editable=False)
    content_hash = models.CharField(max_length=40, editable=False)
    # No key: a version outlives its source.
    source_id = models.UUIDField(null=True, editable=False)
    source_name = models.CharField(max_length=120, blank=True, editable=False)
    url = models.CharField(max_length=2000, editable=False)
    document_index = models.PositiveIntegerField(default=0, editable=False)
    line = models.PositiveIntegerField(default=1, editable=False)
    commit = models.CharField(max_length=64, blank=True, editable=False)
    sync_id = models.BigIntegerField(null=True, editable=False, help_text="The sync that wrote it.")
    actor = models.CharField(
        max_length=200, blank=True, editable=False, help_text="Who wrote it; empty for a sync."
    )
    created_at = models.DateTimeField(editable=False, help_text="Of the entity.")
    since = models.DateTimeField(editable=False)
    until = models.DateTimeField(editable=False)
    end = models.CharField(max_length=12, choices=End, editable=False)
    ended_by = models.CharField(
        max_length=200, blank=True, editable=False, help_text="Who removed it; empty for a sync."
    )
    text = models.TextField(editable=False, help_text="The finished document, at its end.")

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("-until", "-id")
        constraints = [
            models.UniqueConstraint(fields=("uid", "number"), name="catalog_revision_once"),
            models.CheckConstraint(condition=Q(until__gte=F("since")), name="catalog_revision_forward"),
        ]
        indexes = [
            models.Index(fields=("ref", "-until"), name="catalog_revision_ref"),
            models.Index(fields=("until", "since"), name="catalog_revision_valid"),
            models.Index(fields=("sync_id",), name="catalog_revision_sync"),
        ]

    def __str__(self) -> str:
        return f"{self.ref} #{self.number}"


class RevisionAttribute(models.Model):
    """What could be searched of a past version, as :class:`catalog.models.EntityAttribute`."""

    pk = models.CompositePrimaryKey("revision_id", "key_id", "value_id")
    revision = models.ForeignKey(
        Revision, on_delete=models.CASCADE, related_name="attributes", db_index=False, db_constraint=False
    )
    key = models.ForeignKey(
        AttributeKey, on_delete=models.CASCADE, db_index=False, related_name="+", db_constraint=False
    )
    value = models.ForeignKey(
        AttributeValue, on_delete=models.CASCADE, db_index=False, related_name="+", db_constraint=False
    )

    objects = RestrictedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.revision_id} {self.key_id}={self.value_id}"


class RevisionRelation(models.Model):
    """A relation, in both directions, that a past version declared."""

    revision = models.ForeignKey(
        Revision, on_delete=models.CASCADE, related_name="declared_relations", db_constraint=False
    )
    source_ref = CodePointField(max_length=260)
    type = CodePointField(max_length=100)
    target_ref = CodePointField(max_length=260)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=("source_ref", "type", "target_ref"), name="catalog_revisionrel_source"),
            models.Index(fields=("type", "target_ref"), name="catalog_revisionrel_target"),
        ]

    def __str__(self) -> str:
        return f"{self.source_ref} {self.type} {self.target_ref}"


class Alias(models.Model):
    """A reference under which an entity was known before it was renamed; portal addresses lead on to it."""

    ref = CodePointField(max_length=200, editable=False)
    entity = models.ForeignKey(
        "catalog.Entity", on_delete=models.CASCADE, related_name="aliases", editable=False
    )
    created_at = models.DateTimeField(editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("ref",)
        verbose_name_plural = "aliases"
        constraints = [models.UniqueConstraint(fields=("ref",), name="catalog_alias_ref")]

    def __str__(self) -> str:
        return f"{self.ref} is {self.entity_id}"
