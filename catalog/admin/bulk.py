"""Bulk operations: what was done, to what, and the way back."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from catalog.models import BulkOperation
from catalog.presenters.bulk import operation_title
from catalog.services.bulk import undo_bulk
from portal.access.admin import FieldFilter, ReadOnlyAdmin, object_action, viewer_of


@admin.register(BulkOperation)
class BulkOperationAdmin(ReadOnlyAdmin):
    list_display = ("what", "state", "total", "actor", "created_at", "finished_at")
    list_filter = ("verb", "state", FieldFilter.of("actor"))
    list_select_related = ("undoes",)
    search_fields = ("actor", "id")
    search_help_text = "Person or id."
    ordering = ("-created_at", "-id")
    list_fullwidth = True
    actions_detail = ("undo",)
    readonly_fields = ("what", "page")
    fieldsets = (
        (None, {"fields": ("what", "state", "total", "page")}),
        ("What was asked for", {"fields": ("verb", "change", "selection", "undoes")}),
        ("Who and when", {"fields": ("actor", "created_at", "finished_at", "job_id", "id")}),
    )

    @admin.display(description="What")
    def what(self, operation: BulkOperation) -> str:
        return operation_title(operation)

    @admin.display(description="Each entity")
    def page(self, operation: BulkOperation) -> SafeString:
        return format_html(
            '<a href="{}">What became of each</a>', reverse("catalog:operation", args=[operation.pk])
        )

    def view_on_site(self, operation: BulkOperation) -> str:
        return reverse("catalog:operation", args=[operation.pk])

    @object_action(
        "Undo",
        question="Puts back exactly what it changed. What others changed since stays as it is.",
        icon="undo",
    )
    def undo(self, request: HttpRequest, operation: BulkOperation, form: forms.Form) -> str:
        back = undo_bulk(actor=viewer_of(request), operation=operation)
        return f"It is being undone, as operation {back.pk}."
