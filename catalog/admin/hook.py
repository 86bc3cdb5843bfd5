"""Webhooks: made and changed here, their secret shown once; deliveries, to look at and to replay."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectMultipleWidget, UnfoldAdminTextInputWidget

from catalog.models import Hook, HookDelivery, Source
from catalog.presenters.hook import hook_address, setup_steps
from catalog.services.hooks import (
    create_hook,
    delete_hook,
    replay_delivery,
    rotate_secret,
    sources_named_by,
    update_hook,
)
from portal.access.admin import CuratedForm, ModelAdmin, ReadOnlyAdmin, object_action, viewer_of


class HookForm(CuratedForm):
    """The sources are a field of our own: Django's would read them past the policies."""

    reads = forms.ModelMultipleChoiceField(
        queryset=Source.objects.none(),
        required=False,
        label="Sources",
        widget=UnfoldAdminSelectMultipleWidget,
        help_text="What it may read; none chosen means all that match a push.",
    )

    class Meta:
        model = Hook
        fields = ("name", "provider", "enabled", "secret_ref")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Source.objects.unrestricted("every curator may choose from all sources").order_by("name")
        self.fields["reads"].queryset = rows  # type: ignore[attr-defined]  # a choice field
        if not self.instance._state.adding:
            self.initial["reads"] = [source.pk for source in sources_named_by(self.instance)]


class NewSecretForm(BaseDialogForm):
    """Where the new secret is; empty for one that is made here."""

    secret_ref = forms.CharField(
        label="Where it is",
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="env:NAME, file:PATH or vault:PATH#KEY. Empty: one is made and shown once.",
    )


@admin.register(Hook)
class HookAdmin(ModelAdmin):
    form = HookForm
    list_display = ("name", "provider", "enabled", "last_delivery_at", "refused_at", "created_at")
    list_filter = ("provider", "enabled")
    search_fields = ("name",)
    ordering = ("name",)
    actions_detail = ("new_secret",)
    fieldsets = (
        (None, {"fields": ("name", "provider", "enabled", "reads")}),
        ("Its address", {"fields": ("address", "page")}),
        ("Its secret", {"fields": ("secret_ref", "previous_until")}),
        ("What came", {"fields": ("last_delivery_at", "refused_at", "created_at", "created_by")}),
    )
    add_fieldsets = ((None, {"fields": ("name", "provider", "enabled", "reads", "secret_ref")}),)
    readonly_fields = (
        "address", "page", "previous_until", "last_delivery_at", "refused_at", "created_at", "created_by",
    )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Hook | None = None) -> tuple[str, ...]:
        """The kind of host is chosen once; the secret changes by an action, with an overlap."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if obj is None else (*fields, "provider", "secret_ref")

    @admin.display(description="Address for the host")
    def address(self, hook: Hook) -> SafeString:
        return self.code(hook_address(hook))

    @admin.display(description="Deliveries")
    def page(self, hook: Hook) -> SafeString:
        address = reverse("catalog:hook", args=[hook.pk])
        return format_html('<a href="{}">Set-up and deliveries</a>', address)

    def view_on_site(self, hook: Hook) -> str:
        return reverse("catalog:hook", args=[hook.pk])

    def save_model(self, request: HttpRequest, obj: Hook, form: Any, change: bool) -> None:
        values, actor = form.cleaned_data, viewer_of(request)
        if change:
            wanted = {name: values[name] for name in form.changed_data if name in ("name", "enabled")}
            if "reads" in form.changed_data:
                wanted["sources"] = values["reads"]
            saved = update_hook(actor=actor, hook=obj, changes=wanted) if wanted else obj
        else:
            made = create_hook(
                actor=actor,
                name=values["name"],
                provider=values["provider"],
                sources=values["reads"],
                secret_ref=values["secret_ref"],
                enabled=values["enabled"],
            )
            saved = made.hook
            request._hook_secret = made.secret  # type: ignore[attr-defined]  # for the one page that shows it
        obj.__dict__.update(saved.__dict__)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The service has written which sources it names."""

    def delete_model(self, request: HttpRequest, obj: Hook) -> None:
        delete_hook(actor=viewer_of(request), hook=obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Its deliveries go with it; counting them would read them all."""
        names = [f"Webhook {hook} with its deliveries" for hook in objs]
        return names, {"webhooks": len(names)}, set(), []

    def response_add(
        self, request: HttpRequest, obj: Hook, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._shown_once(request, obj, request._hook_secret)  # type: ignore[attr-defined]  # set by save_model

    @object_action(
        "New secret",
        question="The former secret counts for another day, so that no delivery is lost meanwhile.",
        icon="key",
        form=NewSecretForm,
    )
    def new_secret(self, request: HttpRequest, hook: Hook, form: forms.Form) -> HttpResponse | str:
        made = rotate_secret(
            actor=viewer_of(request), hook=hook, secret_ref=form.cleaned_data["secret_ref"].strip()
        )
        if not made.secret:
            return f"{hook} has a new secret. The former one counts for another day."
        return self._shown_once(request, made.hook, made.secret)

    def _shown_once(self, request: HttpRequest, hook: Hook, secret: str) -> HttpResponse:
        """The only page that ever shows the secret; it is not kept by any cache."""
        context = {
            **self.admin_site.each_context(request),
            "title": f"Webhook {hook.name}",
            "opts": self.opts,
            "hook": hook,
            "secret": secret,
            "address": hook_address(hook),
            "steps": setup_steps(hook.provider),
            "list_url": reverse("admin:catalog_hook_changelist"),
            "page_url": reverse("catalog:hook", args=[hook.pk]),
        }
        answer = TemplateResponse(request, "admin/catalog/hook/secret.html", context)
        answer["Cache-Control"] = "no-store"
        return answer


@admin.register(HookDelivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "hook", "verdict", "repository", "branch", "message", "duplicates")
    list_select_related = ("hook",)
    list_filter = ("verdict", "hook")
    search_fields = ("repository", "delivery_id", "event")
    search_help_text = "Repository, id of the delivery, or event."
    ordering = ("-id",)
    list_fullwidth = True
    actions_detail = ("replay",)
    fieldsets = (
        (None, {"fields": ("hook", "verdict", "message", "targets")}),
        ("What came", {"fields": ("event", "repository", "branch", "commit", "delivery_id", "headers")}),
        ("When", {"fields": ("received_at", "attempt", "actor", "duplicates")}),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("body")

    @object_action(
        "Replay",
        question="Looks at it anew, with the sources there are now, as a further attempt.",
        icon="replay",
    )
    def replay(self, request: HttpRequest, delivery: HookDelivery, form: forms.Form) -> str:
        again = replay_delivery(actor=viewer_of(request), delivery=delivery)
        return f"Replayed: {again.message}"
