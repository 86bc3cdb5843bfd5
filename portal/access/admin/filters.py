"""List filters whose choices are rows that the viewer may see."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from portal.access.querysets import visible

MOST_CHOICES = 200


class RelatedFilter(admin.RelatedFieldListFilter):
    """By a row that this one refers to. One statement for all choices."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: admin.ModelAdmin) -> Any:
        rows = visible(field.remote_field.model._default_manager.all(), request.viewer)  # type: ignore[attr-defined]  # AccessMiddleware
        ordering = self.field_admin_ordering(field, request, model_admin)
        return [(row.pk, str(row)) for row in rows.order_by(*ordering)[:MOST_CHOICES]]


class FieldFilter(admin.SimpleListFilter):
    """By the values that a text field has among the rows the viewer may see. Make one with ``of``."""

    field = ""

    @classmethod
    def of(cls, field: str, title: str = "") -> type[FieldFilter]:
        """The filter for one field."""
        values = {"field": field, "parameter_name": field, "title": title or field.replace("_", " ")}
        return type(f"{field.title().replace('_', '')}Filter", (cls,), values)

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        rows = model_admin.get_queryset(request).order_by(self.field)
        values = rows.values_list(self.field, flat=True).distinct()[:MOST_CHOICES]
        return [(value, value) for value in values if value]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.filter(**{self.field: self.value()}) if self.value() else queryset
