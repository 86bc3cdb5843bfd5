"""Past versions of entities, and the names they had."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from catalog.models import Alias, Revision
from portal.access.admin import ReadOnlyAdmin


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    list_display = ("ref", "number", "end", "source_name", "actor", "ended_by", "since", "until")
    list_filter = ("end", "kind")
    search_fields = ("ref", "source_name", "actor", "ended_by", "commit")
    search_help_text = "Reference, source, person or commit."
    ordering = ("-until", "-id")
    list_fullwidth = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Revision]:
        rows: QuerySet[Revision] = super().get_queryset(request)
        return rows.defer("text")  # documents are wide, and a list shows none

    fieldsets = (
        (None, {"fields": ("ref", "uid", "number", "since", "until", "end", "ended_by")}),
        ("Who wrote it", {"fields": ("source_name", "actor", "sync_id", "url", "line", "commit")}),
        ("Document", {"fields": ("text",)}),
    )


@admin.register(Alias)
class AliasAdmin(ReadOnlyAdmin):
    list_display = ("ref", "entity", "created_at")
    list_select_related = ("entity",)
    search_fields = ("ref", "entity__ref")
    search_help_text = "Earlier or present reference."
    ordering = ("ref",)
    fieldsets = ((None, {"fields": ("ref", "entity", "created_at")}),)
