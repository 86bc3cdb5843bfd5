"""The outbox, to look at."""

from __future__ import annotations

from django.contrib import admin

from portal.access.admin import FieldFilter, ReadOnlyAdmin
from portal.events.models import Event


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("position", "type", "subject", "at")
    list_filter = (FieldFilter.of("type"),)
    search_fields = ("type", "subject")
    ordering = ("-position",)
    fields = ("position", "uid", "type", "subject", "at", "data")
