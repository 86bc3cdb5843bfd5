"""Bearer tokens: made here, their text shown once."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from portal.access.admin.actions import object_action
from portal.access.admin.base import ModelAdmin, viewer_of
from portal.access.admin.forms import CuratedForm
from portal.access.models import Token
from portal.access.services import create_token, revoke_token
from portal.access.services.tokens import SCOPES


class NewTokenForm(CuratedForm):
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What it is limited to; none means all that its person may do.",
    )

    class Meta:
        model = Token
        fields = ("user", "name", "scopes", "expires_at")


@admin.register(Token)
class TokenAdmin(ModelAdmin):
    """A token is made and revoked, never changed."""

    form = NewTokenForm
    list_display = ("name", "prefix", "user", "state", "created_at", "last_used_at", "expires_at")
    list_select_related = ("user",)
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("name", "prefix", "user__username")
    autocomplete_fields = ("user",)
    ordering = ("-created_at",)
    actions = ("revoke_chosen",)
    actions_detail = ("revoke",)
    add_fieldsets = ((None, {"fields": ("user", "name", "scopes", "expires_at")}),)
    fields = ("user", "name", "prefix", "scopes", "created_at", "last_used_at", "expires_at", "revoked_at")

    @admin.display(description="State")
    def state(self, token: Token) -> str:
        if token.revoked_at:
            return "revoked"
        return "expired" if token.expires_at and token.expires_at <= timezone.now() else "valid"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Token, form: Any, change: bool) -> None:
        values = form.cleaned_data
        token, text = create_token(
            actor=viewer_of(request),
            user=values["user"],
            name=values["name"],
            scopes=values["scopes"],
            expires_at=values["expires_at"],
        )
        obj.__dict__.update(token.__dict__)
        request._token_text = text  # type: ignore[attr-defined]  # for the one page that shows it

    def response_add(
        self, request: HttpRequest, obj: Token, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The only page that ever shows the text; it is not kept by any cache."""
        context = {
            **self.admin_site.each_context(request),
            "title": f"Token {obj.name}",
            "opts": self.opts,
            "token": obj,
            "text": request._token_text,  # type: ignore[attr-defined]  # set by save_model
        }
        answer = TemplateResponse(request, "admin/access/token/created.html", context)
        answer["Cache-Control"] = "no-store"
        return answer

    @admin.action(description="Revoke", permissions=["curate"])
    def revoke_chosen(self, request: HttpRequest, queryset: QuerySet[Token]) -> None:
        valid = [token for token in queryset if token.revoked_at is None]
        for token in valid:
            revoke_token(actor=viewer_of(request), token=token)
        self.message_user(request, f"{len(valid)} revoked.", messages.SUCCESS)

    @object_action(
        "Revoke", question="Whatever uses this token stops working at once.", icon="block", danger=True
    )
    def revoke(self, request: HttpRequest, token: Token, form: forms.Form) -> str:
        revoke_token(actor=viewer_of(request), token=token)
        return f"{token} is revoked."
