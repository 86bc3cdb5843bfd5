"""What was removed and can come back; removals that wait are decided on the page of their source."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from catalog.models import Quarantine, Tombstone
from catalog.services.removals import restore_entity
from portal.access.admin import ReadOnlyAdmin, object_action, viewer_of


@admin.register(Tombstone)
class TombstoneAdmin(ReadOnlyAdmin):
    list_display = ("ref", "reason", "source_name", "actor", "removed_at", "keep_until", "restored_at")
    list_filter = ("reason", "kind", "source")
    search_fields = ("ref", "source_name", "actor", "owner_ref")
    search_help_text = "Reference, source, person or owner."
    ordering = ("-removed_at", "-id")
    list_fullwidth = True
    actions_detail = ("restore",)
    readonly_fields = ("url", "line", "commit", "text")
    fieldsets = (
        (None, {"fields": ("ref", "uid", "reason", "actor", "removed_at", "keep_until")}),
        (
            "Where it came from",
            {"fields": ("source", "source_name", "url", "line", "commit", "sync_id", "owner_ref")},
        ),
        ("Restored", {"fields": ("restored_at", "restored_by")}),
        ("Its last document", {"fields": ("text",)}),
    )

    @admin.display(description="File")
    def url(self, stone: Tombstone) -> str:
        return stone.revision.url

    @admin.display
    def line(self, stone: Tombstone) -> int:
        return stone.revision.line

    @admin.display
    def commit(self, stone: Tombstone) -> str:
        return stone.revision.commit

    @admin.display(description="Document")
    def text(self, stone: Tombstone) -> str:
        return stone.revision.text

    @object_action(
        "Restore", question="Brings the entity back under its uid, until somebody declares it.", icon="undo"
    )
    def restore(self, request: HttpRequest, tombstone: Tombstone, form: forms.Form) -> str:
        entity = restore_entity(actor=viewer_of(request), tombstone=tombstone)
        return f"{entity.ref} is back."


@admin.register(Quarantine)
class QuarantineAdmin(ReadOnlyAdmin):
    list_display = ("source", "state", "many", "created_at", "decided_by", "decided_at")
    list_filter = ("state",)
    list_select_related = ("source",)
    search_fields = ("source__name",)
    search_help_text = "Source."
    ordering = ("-created_at",)
    fieldsets = (
        (None, {"fields": ("source", "state", "many", "created_at", "decided_by", "decided_at", "page")}),
    )
    readonly_fields = ("many", "page")

    @admin.display(description="Would go")
    def many(self, quarantine: Quarantine) -> str:
        return f"{quarantine.count} of {quarantine.total}"

    @admin.display(description="Decide")
    def page(self, quarantine: Quarantine) -> SafeString:
        address = reverse("catalog:source-held", args=[quarantine.source_id])
        return format_html('<a href="{}">Look at them</a>', address)
