"""Annotations and tags: what they mean, who reads them, and what they are called today."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from import_export import fields, resources, widgets
from import_export.admin import ImportExportMixin
from unfold.contrib.import_export.forms import ExportForm, ImportForm

from catalog.models import AnnotationDefinition, TagDefinition
from catalog.services.kinds import vocabulary_changed
from portal.access.admin import ModelAdmin, viewer_of
from portal.access.admin.exports import RecordedExport
from portal.access.viewer import Viewer
from portal.core.querysets import guarded_reads

REASON = "an import compares with every row"


class AliasWidget(widgets.ForeignKeyWidget):
    """The key or name instead of a number that means nothing elsewhere."""

    def get_queryset(self, value: Any, row: Any, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        rows: QuerySet[Any] = self.model.objects.unrestricted(REASON)
        return rows


class VocabularyResource(resources.ModelResource):
    """Import and export by key or name; each row that an import writes is recorded."""

    def __init__(self, viewer: Viewer | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.viewer = viewer or Viewer.system("import")

    def get_queryset(self) -> QuerySet[Any]:
        rows: QuerySet[Any] = self._meta.model.objects.unrestricted(REASON)
        return rows

    def validate_instance(self, *args: Any, **kwargs: Any) -> None:
        with guarded_reads(False):  # unique means among all rows
            super().validate_instance(*args, **kwargs)

    def after_save_instance(self, instance: Any, row: Any, **kwargs: Any) -> None:
        if not kwargs.get("dry_run"):
            vocabulary_changed(actor=self.viewer, what=instance, verb="imported", after=dict(row))


class AnnotationResource(VocabularyResource):
    alias_of = fields.Field("alias_of", "alias_of", AliasWidget(AnnotationDefinition, "key"))

    class Meta:
        model = AnnotationDefinition
        fields = ("key", "description", "value_type", "reader", "example", "alias_of")
        import_id_fields = ("key",)
        skip_unchanged = True
        clean_model_instances = True


class TagResource(VocabularyResource):
    alias_of = fields.Field("alias_of", "alias_of", AliasWidget(TagDefinition, "name"))

    class Meta:
        model = TagDefinition
        fields = ("name", "description", "alias_of")
        import_id_fields = ("name",)
        skip_unchanged = True
        clean_model_instances = True


class VocabularyAdmin(RecordedExport, ImportExportMixin, ModelAdmin):
    """What annotations and tags have in common. Every process knows of a change at its next reading."""

    import_form_class = ImportForm
    export_form_class = ExportForm
    autocomplete_fields = ("alias_of",)
    list_select_related = ("alias_of",)

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_import_resource_kwargs(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        return {"viewer": viewer_of(request)}

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        names = form.changed_data if change else list(form.cleaned_data)
        before = {name: str(form.initial.get(name) or "") for name in names} if change else None
        obj.save()
        after = {name: str(form.cleaned_data.get(name) or "") for name in names}
        verb = "changed" if change else "created"
        vocabulary_changed(actor=viewer_of(request), what=obj, verb=verb, before=before, after=after)

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        vocabulary_changed(actor=viewer_of(request), what=obj, verb="deleted", before={"name": str(obj)})
        obj.delete()


@admin.register(AnnotationDefinition)
class AnnotationAdmin(VocabularyAdmin):
    resource_classes = (AnnotationResource,)
    list_display = ("key", "value_type", "reader", "alias_of", "shipped")
    list_filter = ("value_type", "shipped")
    search_fields = ("key", "description", "reader")
    ordering = ("key",)
    fields = ("key", "description", "value_type", "reader", "example", "alias_of")


@admin.register(TagDefinition)
class TagAdmin(VocabularyAdmin):
    resource_classes = (TagResource,)
    list_display = ("name", "description", "alias_of")
    search_fields = ("name", "description")
    ordering = ("name",)
    fields = ("name", "description", "alias_of")
