"""The audit record, to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from import_export.admin import ExportMixin
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.contrib.import_export.forms import ExportForm

from portal.access.admin import FieldFilter, ReadOnlyAdmin
from portal.access.admin.exports import RecordedExport
from portal.audit.models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(RecordedExport, ExportMixin, ReadOnlyAdmin):
    list_display = ("at", "actor", "verb", "object_type", "object_name", "address", "sealed")
    list_filter = (
        FieldFilter.of("verb"),
        FieldFilter.of("object_type", "object"),
        ("at", RangeDateTimeFilter),
    )
    search_fields = ("actor", "verb", "object_id", "object_name", "request_id")
    search_help_text = "Actor, verb, object or request id."
    ordering = ("-id",)
    list_fullwidth = True
    export_form_class = ExportForm
    fieldsets = (
        (None, {"fields": ("at", "actor", "verb", "object_type", "object_id", "object_name")}),
        ("What changed", {"fields": ("before", "after", "note")}),
        ("From where", {"fields": ("address", "request_id")}),
        ("Seal", {"fields": ("position", "digest")}),
    )
    readonly_fields = ("position", "digest")

    @admin.display(boolean=True, description="Sealed")
    def sealed(self, event: AuditEvent) -> bool:
        return event.position is not None

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_export_resource_kwargs(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        return {}
