"""Webhooks: who is told of events. A secret is shown once, when it is made."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from portal.access.admin import CuratedForm, ModelAdmin, object_action, once, viewer_of
from portal.events.models import Delivery, Subscription
from portal.events.selectors import bounds
from portal.events.services import (
    change_subscription,
    create_subscription,
    delete_subscription,
    ping,
    redeliver_all,
    rotate_secret,
    switch_off,
    switch_on,
)

FIELDS = ("name", "url", "types", "subjects")
HEALTH = (
    "state",
    "reason",
    "waiting",
    "dead_letters",
    "failures",
    "failing_since",
    "next_try_at",
    "last_ok_at",
    "last_error",
)


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "off"})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (super().to_python(value) or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((initial or []) != self.to_python(data))


class SubscriptionForm(CuratedForm):
    types = LinesField(required=False, help_text="One a line, such as catalog.entity.*; none means all.")
    subjects = LinesField(
        required=False, help_text="One a line, such as component:default/*; none means all."
    )

    class Meta:
        model = Subscription
        fields = FIELDS


class NewSubscriptionForm(SubscriptionForm):
    start = forms.ChoiceField(
        choices=[("now", "From now on"), ("oldest", "From the oldest event that is kept")],
        initial="now",
        widget=UnfoldAdminSelectWidget,
        help_text="Which events it gets.",
    )


class StartForm(BaseDialogForm):
    start = forms.ChoiceField(
        choices=[
            ("resume", "Where it stopped"),
            ("oldest", "From the oldest event that is kept"),
            ("now", "From now on"),
        ],
        widget=UnfoldAdminSelectWidget,
    )


@admin.register(Subscription)
class SubscriptionAdmin(ModelAdmin):
    form = SubscriptionForm
    list_display = ("name", "url", "state", "last_ok_at", "failing_since", "created_by")
    list_filter = ("enabled",)
    search_fields = ("name", "url", "created_by")
    ordering = ("name",)
    actions_detail = ("send_test", "redeliver_dead", "new_secret", "turn_on", "turn_off")
    add_fieldsets = ((None, {"fields": (*FIELDS, "start")}),)
    fieldsets = (
        (None, {"fields": FIELDS}),
        ("Health", {"fields": HEALTH}),
        ("Made", {"fields": ("created_by", "created_at", "previous_until", "id")}),
    )
    readonly_fields = (*HEALTH, "created_by", "created_at", "previous_until", "id")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = NewSubscriptionForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.add_fieldsets if obj is None else super().get_fieldsets(request, obj)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """What makes sense for this one: nobody switches off what is off."""
        offered: list[Any] = super().get_actions_detail(request, object_id)
        row = self.get_object(request, str(object_id))
        if row is None:
            return offered
        hidden = {"turn_on" if row.enabled else "turn_off"}
        if not self.dead_letters(row):
            hidden.add("redeliver_dead")
        return [each for each in offered if not any(each.action_name.endswith(name) for name in hidden)]

    @admin.display(description="State")
    def state(self, row: Subscription) -> str:
        if not row.enabled:
            return "off"
        return f"failing, {row.failures} in a row" if row.failures else "on"

    @admin.display(description="Waiting")
    @once
    def waiting(self, row: Subscription) -> str:
        return f"{max(bounds()[1] - row.position, 0)} events, matching or not"

    @admin.display(description="Dead letters")
    @once
    def dead_letters(self, row: Subscription) -> int:
        dead = Delivery.objects.unrestricted("counted on a page of somebody who may see the subscription")
        return dead.filter(subscription=row, state=Delivery.State.DEAD).count()

    # ------------------------------------------------------------------------------------------------------- writes

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        values = form.cleaned_data
        if change:
            changes = {name: values[name] for name in form.changed_data}
            saved = change_subscription(actor=viewer_of(request), subscription=obj, changes=changes)
        else:
            saved, secret = create_subscription(actor=viewer_of(request), **values)
            request._secret_text = secret  # type: ignore[attr-defined]  # for the one page that shows it
        obj.__dict__.update(saved.__dict__)

    def delete_model(self, request: HttpRequest, obj: Subscription) -> None:
        delete_subscription(actor=viewer_of(request), subscription=obj)

    def response_add(
        self, request: HttpRequest, obj: Subscription, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._secret_page(request, obj, request._secret_text)  # type: ignore[attr-defined]  # set by save_model

    def _secret_page(self, request: HttpRequest, obj: Subscription, secret: str) -> HttpResponse:
        """The only page that ever shows this secret; it is not kept by any cache."""
        context = {
            **self.admin_site.each_context(request),
            "title": f"Webhook {obj.name}",
            "opts": self.opts,
            "subscription": obj,
            "text": secret,
        }
        # In a dialog it takes the place of the whole, button included: a second click would be a second secret.
        page = "secret_dialog" if request.headers.get("HX-Request") else "secret"
        answer = TemplateResponse(request, f"admin/events/subscription/{page}.html", context)
        answer["Cache-Control"] = "no-store"
        if page == "secret_dialog":
            answer["HX-Retarget"] = answer["HX-Reselect"] = "#dialog"
        return answer

    # ------------------------------------------------------------------------------------------------------ actions

    @object_action("Test", question="Sends callboard.ping now; takes up to 10 seconds.", icon="network_check")
    def send_test(self, request: HttpRequest, row: Subscription, form: forms.Form) -> str | None:
        outcome = ping(actor=viewer_of(request), subscription=row)
        if outcome.ok:
            return f"It answered with status {outcome.status} in {outcome.seconds:.1f} s."
        messages.error(request, outcome.error)
        return None

    @object_action("Send dead letters again", question="They are sent soon, in their order.", icon="replay")
    def redeliver_dead(self, request: HttpRequest, row: Subscription, form: forms.Form) -> str:
        count = redeliver_all(actor=viewer_of(request), subscription=row)
        return f"{count} dead letters are sent again." if count else "There are no dead letters."

    @object_action(
        "New secret",
        question="The new secret is shown once. The one before it signs as well for 24 hours.",
        icon="key",
    )
    def new_secret(self, request: HttpRequest, row: Subscription, form: forms.Form) -> HttpResponse:
        saved, secret = rotate_secret(actor=viewer_of(request), subscription=row)
        return self._secret_page(request, saved, secret)

    @object_action("Switch on", question="It gets events again.", icon="play_arrow", form=StartForm)
    def turn_on(self, request: HttpRequest, row: Subscription, form: forms.Form) -> str:
        switch_on(actor=viewer_of(request), subscription=row, start=form.cleaned_data["start"])
        return f"{row} is on."

    @object_action(
        "Switch off",
        question="It gets nothing any more. What it has not got waits as long as events are kept.",
        icon="pause",
        danger=True,
    )
    def turn_off(self, request: HttpRequest, row: Subscription, form: forms.Form) -> str:
        switch_off(actor=viewer_of(request), subscription=row)
        return f"{row} is off."
