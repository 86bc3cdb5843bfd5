"""What people and programs wrote into the catalog itself, instead of into files."""

from __future__ import annotations

from django.db import models

from catalog.models.source import Source
from portal.access.querysets import RestrictedQuerySet
from portal.core.fields import CodePointField


class KeptDocument(models.Model):
    """The text of an entity of a source of type ``managed``: what a file is to other sources.

    It stays when another source takes the entity over, and counts again when that one lets go.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="kept_documents")
    ref = CodePointField(max_length=200, editable=False)
    text = models.TextField(editable=False, help_text="JSON as written, without what the catalog fills in.")
    written_at = models.DateTimeField(editable=False)
    written_by = models.CharField(max_length=200, editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("ref",)
        constraints = [models.UniqueConstraint(fields=("source", "ref"), name="catalog_keptdocument_once")]
        indexes = [models.Index(fields=("ref",), name="catalog_keptdocument_ref")]

    def __str__(self) -> str:
        return self.ref
