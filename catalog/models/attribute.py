"""The attribute index: every searchable (key, value) of every entity, as integers (catalog API, what is searchable)."""

from __future__ import annotations

from django.db import models

from catalog.models.entity import Entity
from portal.access.querysets import RestrictedQuerySet
from portal.core.fields import CodePointField

NO_VALUE = 0


class AttributeKey(models.Model):
    """A dotted path, lower case."""

    id = models.AutoField(primary_key=True)
    name = CodePointField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("name",), name="catalog_attributekey_name")]

    def __str__(self) -> str:
        return self.name


class AttributeValue(models.Model):
    """A value as written, and lower-cased for comparing. The row with id 0 stands for "there, but no value"."""

    id = models.AutoField(primary_key=True)
    text = CodePointField(max_length=200)
    lower = CodePointField(max_length=400)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("text",), name="catalog_attributevalue_text")]
        indexes = [models.Index(fields=("lower",), name="catalog_attributevalue_lower")]

    def __str__(self) -> str:
        return self.text


class EntityAttribute(models.Model):
    """Entity ``entity`` has ``key`` with ``value``."""

    pk = models.CompositePrimaryKey("entity_id", "key_id", "value_id")
    # No constraints in the database: these rows are derived and written with their entity by one service, and
    # checking 350,000 keys took a third of a cold ingest of 10,000 entities.
    entity = models.ForeignKey(
        Entity, on_delete=models.CASCADE, related_name="attributes", db_index=False, db_constraint=False
    )
    key = models.ForeignKey(
        AttributeKey, on_delete=models.CASCADE, db_index=False, related_name="+", db_constraint=False
    )
    value = models.ForeignKey(
        AttributeValue, on_delete=models.CASCADE, db_index=False, related_name="+", db_constraint=False
    )

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=("key", "value", "entity"), name="catalog_attribute_lookup")]

    def __str__(self) -> str:
        return f"{self.entity_id} {self.key_id}={self.value_id}"
