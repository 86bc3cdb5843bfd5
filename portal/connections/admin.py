"""Hosts and their credential references. A secret is never typed or shown here."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from portal.access.admin import CuratedForm, ModelAdmin, object_action, viewer_of
from portal.connections.hosts import PURPOSES
from portal.connections.models import Connection
from portal.connections.selectors import is_open
from portal.connections.services import check_connection, delete_connection, save_connection

HEALTH = ("health", "failures", "open_until", "next_call_at", "last_ok_at", "last_error")


class ConnectionForm(CuratedForm):
    purposes = forms.MultipleChoiceField(
        choices=[(purpose, purpose) for purpose in PURPOSES],
        initial=["read"],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What its credential may be used for.",
    )

    class Meta:
        model = Connection
        fields = ("purposes",)  # the admin adds its own


@admin.register(Connection)
class ConnectionAdmin(ModelAdmin):
    form = ConnectionForm
    list_display = ("name", "host", "kind", "read_over", "enabled", "health", "last_ok_at")
    list_filter = ("kind", "enabled")
    search_fields = ("name", "host")
    ordering = ("name",)
    actions_detail = ("check_now",)
    fieldsets = (
        (None, {"fields": ("name", "kind", "host", "enabled")}),
        (
            "What it may reach",
            {"fields": ("allowed_prefixes", "purposes", "allow_private", "rate_per_minute")},
        ),
        ("Credential", {"fields": ("username", "credential")}),
        ("Addresses", {"fields": ("base_url", "api_url", "read_over")}),
        ("Health", {"fields": HEALTH}),
    )
    readonly_fields = HEALTH

    @admin.display(description="Health")
    def health(self, connection: Connection) -> str:
        if is_open(connection):
            return "resting after failures"
        if connection.failures:
            return f"failed {connection.failures} times"
        return "fine" if connection.last_ok_at else "not used yet"

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        names = form.changed_data if change else form.cleaned_data
        values = {name: form.cleaned_data[name] for name in names}
        saved = save_connection(actor=viewer_of(request), connection=obj if change else None, **values)
        obj.__dict__.update(saved.__dict__)

    def delete_model(self, request: HttpRequest, obj: Connection) -> None:
        delete_connection(actor=viewer_of(request), connection=obj)

    @object_action(
        "Check", question="Asks the host with this credential; takes up to 10 seconds.", icon="network_check"
    )
    def check_now(self, request: HttpRequest, connection: Connection, form: forms.Form) -> str | None:
        result = check_connection(actor=viewer_of(request), connection=connection)
        if result.ok:
            return f"{result.url} answered in {result.seconds:.1f} s."
        messages.error(request, f"{result.problem} {result.remedy}")
        return None
