"""Entities as they are read: narrow rows to filter and sort, finished documents to hand out."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from catalog.models.source import Source
from catalog.querysets import EntityQuerySet
from portal.access.querysets import RestrictedQuerySet
from portal.core.fields import CodePointField


class Entity(models.Model):
    """One thing of the catalog.

    The text columns hold lower-cased values, because that is how filters and sorting compare; what the author wrote
    stands in the document. The row is narrow on purpose: scans for filters and counts touch nothing else.
    """

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        MISSING = "missing", "Source unreadable"
        ORPHANED = "orphaned", "Orphaned"

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    ref = CodePointField(max_length=200, editable=False, help_text="kind:namespace/name, lower case.")
    kind = CodePointField(max_length=63, editable=False)
    namespace = CodePointField(max_length=63, editable=False)
    name = CodePointField(max_length=63, editable=False)
    label = CodePointField(max_length=200, editable=False, help_text="Title or name, for sorting lists.")
    type = CodePointField(max_length=200, null=True, blank=True, editable=False)
    lifecycle = CodePointField(max_length=200, null=True, blank=True, editable=False)
    owner_ref = CodePointField(max_length=260, null=True, blank=True, editable=False)
    system_ref = CodePointField(max_length=260, null=True, blank=True, editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE, editable=False)
    state_reason = models.CharField(max_length=300, blank=True, editable=False)
    state_since = models.DateTimeField(null=True, blank=True, editable=False)
    has_errors = models.BooleanField(
        default=False, editable=False, help_text="Its last reading failed; this is the good one."
    )
    etag = models.CharField(max_length=200, editable=False)
    content_hash = models.CharField(
        max_length=40, editable=False, help_text="Of what the source says; unchanged means skip."
    )
    source = models.ForeignKey(
        Source, null=True, on_delete=models.PROTECT, related_name="entities", editable=False
    )
    parent = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.SET_NULL,
        related_name="children",
        editable=False,
        help_text="The Location whose file declared it.",
    )
    url = models.CharField(max_length=2000, editable=False, help_text="File that declares it.")
    document_index = models.PositiveIntegerField(default=0, editable=False)
    line = models.PositiveIntegerField(default=1, editable=False)
    commit = models.CharField(max_length=64, blank=True, editable=False)
    sync_id = models.BigIntegerField(null=True, editable=False, help_text="The sync that wrote it last.")
    confirmed_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="Last reading that saw it as it stands, where that is not the last good one of its source.",
    )
    created_at = models.DateTimeField(editable=False)
    changed_at = models.DateTimeField(
        editable=False, help_text="When its document changed last, also by what others say of it."
    )
    # The present version; earlier ones are in Revision.
    revision = models.PositiveIntegerField(default=1, editable=False)
    revised_at = models.DateTimeField(default=timezone.now, editable=False)
    revised_by = models.CharField(
        max_length=200, blank=True, editable=False, help_text="Who wrote it; empty for a sync."
    )

    objects = EntityQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "entities"
        ordering = ("label", "ref")
        constraints = [models.UniqueConstraint(fields=("ref",), name="catalog_entity_ref")]
        indexes = [
            models.Index(fields=("kind", "label", "ref"), name="catalog_entity_list"),
            models.Index(fields=("label", "ref"), name="catalog_entity_label"),
            models.Index(fields=("kind", "name", "uid"), name="catalog_entity_kind_name"),
            # On PostgreSQL name and label have an index for substrings, too: migration 0010.
            models.Index(fields=("name", "uid"), include=("id", "label"), name="catalog_entity_name"),
            models.Index(fields=("owner_ref", "kind"), name="catalog_entity_owner"),
            models.Index(fields=("system_ref",), name="catalog_entity_system"),
            models.Index(fields=("-changed_at",), name="catalog_entity_changed"),
        ]

    def __str__(self) -> str:
        return self.ref


class EntityDocument(models.Model):
    """The finished document of an entity as JSON text, handed out as it is."""

    entity = models.OneToOneField(Entity, primary_key=True, on_delete=models.CASCADE, related_name="document")
    text = models.TextField()

    objects = RestrictedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"document of {self.entity_id}"


class Relation(models.Model):
    """One direction of a relation. Both directions are stored; either end may not exist (yet).

    ``origin`` is the entity whose document declares it: its rows go when it goes.
    """

    # Derived rows, written with their entity by one service: checked there, not once more by the database.
    origin = models.ForeignKey(
        Entity, on_delete=models.CASCADE, related_name="declared_relations", db_constraint=False
    )
    source_ref = CodePointField(max_length=260)
    type = CodePointField(max_length=100)
    target_ref = CodePointField(max_length=260)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=("source_ref", "type", "target_ref", "origin"), name="catalog_relation_once"
            )
        ]
        indexes = [models.Index(fields=("type", "target_ref", "source_ref"), name="catalog_relation_target")]

    def __str__(self) -> str:
        return f"{self.source_ref} {self.type} {self.target_ref}"
