"""What is wrong in sources, to look at: it goes when the source is mended and read again."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from import_export.admin import ExportMixin
from unfold.contrib.import_export.forms import ExportForm

from catalog.admin.entity import entity_link
from catalog.models import Problem
from portal.access.admin import FieldFilter, ReadOnlyAdmin
from portal.access.admin.exports import RecordedExport


@admin.register(Problem)
class ProblemAdmin(RecordedExport, ExportMixin, ReadOnlyAdmin):
    list_display = ("severity", "rule", "message", "source", "entity", "place", "last_seen_at")
    list_display_links = ("message",)
    list_select_related = ("source",)
    list_filter = ("severity", FieldFilter.of("rule"), "source")
    search_fields = ("rule", "message", "entity_ref", "owner_ref", "url", "value")
    search_help_text = "Rule, message, entity, owner, file or value."
    ordering = ("severity", "source", "url", "line", "id")
    list_fullwidth = True
    export_form_class = ExportForm
    fieldsets = (
        (None, {"fields": ("severity", "message", "remedy", "rule")}),
        ("Where", {"fields": ("source", "url", "document", "line", "column", "path", "entity", "owner")}),
        ("What stands there", {"fields": ("value", "now", "better")}),
        ("When", {"fields": ("first_seen_at", "last_seen_at", "error_name", "fingerprint")}),
    )
    readonly_fields = ("entity", "owner", "now", "better")

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @admin.display(ordering="entity_ref")
    def entity(self, problem: Problem) -> SafeString:
        return entity_link(problem.entity_ref)

    @admin.display(ordering="owner_ref")
    def owner(self, problem: Problem) -> SafeString:
        return entity_link(problem.owner_ref)

    @admin.display(description="Line")
    def place(self, problem: Problem) -> str:
        name = problem.url.rstrip("/").rpartition("/")[2][:60]
        return f"{name}:{problem.line or 1}" if name else "-"

    @admin.display(description="Line as it is")
    def now(self, problem: Problem) -> SafeString:
        return format_html('<pre class="cb-document">{}</pre>', problem.source_line or "-")

    @admin.display(description="Corrected line")
    def better(self, problem: Problem) -> SafeString:
        return format_html('<pre class="cb-document">{}</pre>', problem.corrected_line or "-")
