"""Kinds, annotations and tags are data: shipped rows, and whatever a platform admin adds."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models

from portal.access.querysets import RestrictedQuerySet

KIND_NAME = RegexValidator(r"^[a-zA-Z][a-zA-Z0-9]{0,62}$", "A letter, then letters and digits; 63 at most.")


class Kind(models.Model):
    """A kind of entity, such as Component."""

    name = models.CharField(
        max_length=63, unique=True, validators=[KIND_NAME], help_text="As written in descriptors."
    )
    plural = models.CharField(max_length=80, help_text="What a list of them is called.")
    description = models.TextField(blank=True)
    icon = models.CharField(max_length=40, default="catalog", help_text="Name of an icon of the sprite.")
    order = models.PositiveIntegerField(
        default=100, help_text="Smaller numbers come first in lists of kinds."
    )
    shipped = models.BooleanField(
        default=False, editable=False, help_text="Comes with Callboard; kept up to date by it."
    )
    enabled = models.BooleanField(default=True, help_text="Off: descriptors of this kind are refused.")
    relations = models.JSONField(
        default=list,
        blank=True,
        help_text="Relation fields: path, relation, reverse, default_kind (docs/admins/kinds.md).",
    )
    sorted_lists = models.JSONField(
        default=list, blank=True, help_text="Paths of text lists that are kept sorted."
    )
    default_allowed = models.BooleanField(
        default=True, help_text="Sources may bring this kind unless they say otherwise."
    )
    updated_at = models.DateTimeField(auto_now=True)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("order", "name")

    def __str__(self) -> str:
        return self.name


class KindVersion(models.Model):
    """A version of a kind, with the schema its entities have to fit."""

    kind = models.ForeignKey(Kind, on_delete=models.CASCADE, related_name="versions")
    api_version = models.CharField(max_length=320, help_text="Such as backstage.io/v1alpha1.")
    spec_type = models.CharField(
        max_length=100,
        blank=True,
        help_text="Only for entities of this spec.type; empty means all types without their own.",
    )
    schema = models.JSONField(help_text="JSON Schema of the whole entity.")
    enabled = models.BooleanField(default=True, help_text="Off: as if this row were not there.")

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("kind", "api_version", "spec_type")
        constraints = [
            models.UniqueConstraint(
                fields=("kind", "api_version", "spec_type"), name="catalog_kind_version_once"
            )
        ]

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.kind), self.api_version, self.spec_type)))


class AnnotationDefinition(models.Model):
    """What an annotation means and who reads it."""

    class ValueType(models.TextChoices):
        TEXT = "text", "Text"
        URL = "url", "Address"
        REF = "ref", "Entity reference"
        BOOLEAN = "boolean", "true or false"

    key = models.CharField(max_length=320, unique=True)
    description = models.TextField(blank=True)
    value_type = models.CharField(max_length=10, choices=ValueType, default=ValueType.TEXT)
    reader = models.CharField(
        max_length=200, blank=True, help_text="What reads it, such as a plugin or a tool."
    )
    example = models.CharField(max_length=300, blank=True)
    alias_of = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="aliases",
        help_text="The key to use instead.",
    )
    shipped = models.BooleanField(default=False, editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("key",)
        verbose_name = "annotation"

    def __str__(self) -> str:
        return self.key


class TagDefinition(models.Model):
    """A tag of the vocabulary. While there are none, every tag is welcome."""

    name = models.CharField(max_length=63, unique=True)
    description = models.TextField(blank=True)
    alias_of = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="aliases",
        help_text="The tag to use instead.",
    )

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        verbose_name = "tag"

    def __str__(self) -> str:
        return self.name
