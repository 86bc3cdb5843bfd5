"""Deliveries of webhooks, to look at; dead letters, to send again or drop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from portal.access.admin import FieldFilter, ReadOnlyAdmin, object_action, viewer_of
from portal.core.errors import ConflictError
from portal.events.models import Delivery
from portal.events.services import drop, redeliver


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("type", "subject", "subscription", "state", "attempts", "last_at", "why")
    list_select_related = ("subscription",)
    list_filter = ("state", "subscription", FieldFilter.of("type"))
    search_fields = ("type", "subject", "error", "subscription__name")
    ordering = ("-id",)
    list_fullwidth = True
    actions = ("redeliver_chosen", "drop_chosen")
    actions_detail = ("send_again", "drop_letter")
    fieldsets = (
        (None, {"fields": ("subscription", "type", "subject", "state", "error")}),
        (
            "Attempts",
            {"fields": ("attempts", "status", "milliseconds", "first_at", "last_at", "next_try_at")},
        ),
        ("What is sent", {"fields": ("message_id", "position", "body")}),
    )

    @admin.display(description="Error")
    def why(self, delivery: Delivery) -> str:
        return delivery.error[:120] or "-"

    @object_action(
        "Send again", question="It is sent soon, beside the order of the other events.", icon="replay"
    )
    def send_again(self, request: HttpRequest, delivery: Delivery, form: forms.Form) -> str:
        redeliver(actor=viewer_of(request), delivery=delivery)
        return f"{delivery} is sent again within seconds."

    @object_action("Drop", question="The receiver never gets this event.", icon="delete", danger=True)
    def drop_letter(self, request: HttpRequest, delivery: Delivery, form: forms.Form) -> str:
        drop(actor=viewer_of(request), delivery=delivery)
        return f"{delivery} is dropped."

    @admin.action(description="Send dead letters again", permissions=["curate"])
    def redeliver_chosen(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self._each(request, queryset, redeliver, "sent again")

    @admin.action(description="Drop dead letters", permissions=["curate"])
    def drop_chosen(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self._each(request, queryset, drop, "dropped")

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Delivery], act: Callable[..., Any], done: str
    ) -> None:
        count = other = 0
        for delivery in queryset.order_by("position"):
            try:
                act(actor=viewer_of(request), delivery=delivery)
                count += 1
            except ConflictError:
                other += 1
        rest = f", {other} were no dead letters" if other else ""
        self.message_user(request, f"{count} {done}{rest}.", messages.SUCCESS if count else messages.WARNING)
