"""People, the identities that permissions are about, and who belongs to what."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from portal.access.admin.actions import object_action
from portal.access.admin.base import ModelAdmin, age, once, viewer_of
from portal.access.admin.forms import CuratedForm
from portal.access.browsers import browser_words
from portal.access.models import BrowserSession, Membership, Principal, User
from portal.access.services import create_user, end_sessions, set_password, update_user
from portal.access.services.users import CHANGEABLE
from portal.access.standing import raise_access_version

HAND_MADE = "admin"
#: Sessions that the page of a person lists.
MOST_SESSIONS = 50


class NewPersonForm(CuratedForm):
    """Name, address and an optional first password."""

    full_name = forms.CharField(max_length=300, required=False, widget=UnfoldAdminTextInputWidget)
    password = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters. Empty: the person signs in through an identity provider only.",
    )

    class Meta:
        model = User
        fields = ("username", "email", "is_staff")


class PasswordForm(BaseDialogForm):
    password = forms.CharField(
        strip=False,
        label="New password",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters. Every session of this person ends.",
    )


@admin.register(User)
class UserAdmin(ModelAdmin):
    """People are deactivated, not deleted: what they did refers to them."""

    list_display = ("username", "name", "email", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("username", "first_name", "last_name", "email", "external_id")
    ordering = ("username",)
    readonly_fields = ("sessions", "external_id", "last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "first_name", "last_name", "email")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Sessions", {"fields": ("sessions",)}),
        ("For other systems", {"fields": ("external_id", "last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "full_name", "email", "password", "is_staff")}),)
    actions = ("deactivate",)
    actions_detail = ("new_password", "sign_out")

    @admin.display(ordering="first_name")
    def name(self, person: User) -> str:
        return person.get_full_name()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = NewPersonForm
        return super().get_form(request, obj, change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if viewer_of(request).is_superuser else (*fields, "is_superuser")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        actor, values = viewer_of(request), form.cleaned_data
        if change:
            changes = {name: values[name] for name in form.changed_data if name in CHANGEABLE}
            saved = update_user(actor=actor, user=obj, changes=changes)
        else:
            saved = create_user(
                actor=actor,
                username=values["username"],
                email=values["email"],
                full_name=values["full_name"],
                password=values["password"] or None,
                is_staff=values["is_staff"],
            )
        obj.__dict__.update(saved.__dict__)

    @admin.action(description="Deactivate", permissions=["curate"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for person in queryset:
            update_user(actor=viewer_of(request), user=person, changes={"is_active": False})
        self.message_user(request, f"{len(queryset)} deactivated. Their sessions and tokens no longer work.")

    @admin.display(description="Signed in at")
    @once
    def sessions(self, person: User) -> str:
        """Each session leads to its own page, where it can be ended."""
        rows = BrowserSession.objects.unrestricted("who sees a person here may see these").filter(user=person)
        return format_html_join(
            SafeString("<br>"),
            '<a class="text-primary-600 underline" href="{}">{}, {}</a>, last seen {}',
            (
                (
                    reverse("admin:access_browsersession_change", args=[row.pk]),
                    browser_words(row.agent),
                    row.address or "no address",
                    age(row.seen_at),
                )
                for row in rows[:MOST_SESSIONS]
            ),
        ) or SafeString("nowhere")

    @object_action(
        "Sign out everywhere",
        question="Every session of this person ends. Their tokens go on.",
        icon="logout",
        danger=True,
    )
    def sign_out(self, request: HttpRequest, person: User, form: forms.Form) -> str:
        return f"{end_sessions(actor=viewer_of(request), user=person)} sessions of {person} ended."

    @object_action(
        "Set password", question="The person gets a new password.", icon="password", form=PasswordForm
    )
    def new_password(self, request: HttpRequest, person: User, form: forms.Form) -> str:
        set_password(actor=viewer_of(request), user=person, password=form.cleaned_data["password"])
        return f"{person} has a new password."


class IdentityAdmin(ModelAdmin):
    """What permission is worked out from: a change holds from the next request on."""

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        raise_access_version()

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        raise_access_version()


@admin.register(Principal)
class PrincipalAdmin(IdentityAdmin):
    """What sources bring is kept up to date by them; here one adds what no source knows."""

    list_display = ("ref", "kind", "title", "email", "user", "source", "active")
    list_select_related = ("user",)
    list_filter = ("kind", "active")
    search_fields = ("ref", "title", "email", "source")
    autocomplete_fields = ("user",)
    fields = ("kind", "ref", "title", "email", "user", "source", "active")
    ordering = ("ref",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, str | list[str]]:
        return {**super().get_changeform_initial_data(request), "source": HAND_MADE}


@admin.register(Membership)
class MembershipAdmin(IdentityAdmin):
    list_display = ("member", "group", "source")
    list_select_related = ("member", "group")
    search_fields = ("member__ref", "group__ref", "source")
    autocomplete_fields = ("member", "group")
    ordering = ("group__ref", "member__ref")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, str | list[str]]:
        return {**super().get_changeform_initial_data(request), "source": HAND_MADE}
