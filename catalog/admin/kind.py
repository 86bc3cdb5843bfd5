"""Kinds with their versions: what the catalog accepts from the next reading on."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from catalog.kinds import compile_schema
from catalog.models import Kind, KindVersion
from catalog.services.kinds import save_kind
from portal.access.admin import CuratedForm, ModelAdmin, TabularInline, viewer_of
from portal.core.errors import InputError

FIELDS = (
    "name",
    "plural",
    "description",
    "icon",
    "order",
    "enabled",
    "default_allowed",
    "relations",
    "sorted_lists",
)
VERSION_FIELDS = ("api_version", "spec_type", "schema", "enabled")


class VersionForm(CuratedForm):
    class Meta:
        model = KindVersion
        fields = VERSION_FIELDS

    def clean_schema(self) -> Any:
        schema = self.cleaned_data["schema"]
        try:
            compile_schema(schema)
        except InputError as error:
            raise forms.ValidationError(f"{error.message}. {error.remedy}") from error
        return schema


class VersionInline(TabularInline):
    model = KindVersion
    form = VersionForm
    fields = VERSION_FIELDS
    min_num = 1
    verbose_name = "version"


@admin.register(Kind)
class KindAdmin(ModelAdmin):
    """A kind is switched off, not deleted: entities of it may be there."""

    list_display = ("name", "plural", "shipped", "enabled", "default_allowed", "order", "updated_at")
    list_filter = ("enabled", "shipped", "default_allowed")
    search_fields = ("name", "plural", "description")
    ordering = ("order", "name")
    inlines = (VersionInline,)
    fieldsets = (
        (None, {"fields": ("name", "plural", "description", "icon", "order")}),
        ("What is accepted", {"fields": ("enabled", "default_allowed")}),
        ("How documents are read", {"fields": ("relations", "sorted_lists")}),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Kind | None = None) -> tuple[str, ...]:
        return ("name",) if obj is not None else ()

    def save_model(self, request: HttpRequest, obj: Kind, form: Any, change: bool) -> None:
        """A kind and its versions are one thing, written together by ``save_related``."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        obj = form.instance
        versions = []
        for formset in formsets:
            formset.new_objects = formset.changed_objects = (
                formset.deleted_objects
            ) = []  # Django asks for them
            for each in formset.forms:
                row = each.cleaned_data
                if row and not row.get("DELETE"):
                    versions.append({name: row[name] for name in VERSION_FIELDS})
        rows = Kind.objects.unrestricted("the row as it was before the form")
        kind = rows.filter(pk=obj.pk).first() if change else None
        values = {name: form.cleaned_data[name] for name in FIELDS if name in form.cleaned_data}
        saved = save_kind(actor=viewer_of(request), values=values, versions=versions, kind=kind)
        obj.__dict__.update(saved.__dict__)
