"""Sources: registered, changed, read on demand. Their readings, to look at."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminURLInputWidget

from catalog.models import Kind, Source, Sync
from catalog.services.sources import create_source, delete_source, request_sync, update_source
from portal.access.admin import CuratedForm, FieldFilter, ModelAdmin, ReadOnlyAdmin, object_action, viewer_of

FIELDS = (
    "name", "type", "target", "branch", "pattern", "presence", "allowed_kinds", "may_define_people", "priority",
    "enabled", "interval", "stale_after", "view_url",
)  # fmt: skip
READING = ("state", "last_sync_at", "last_success_at", "last_error", "failures", "failing_since", "version")


class SourceForm(CuratedForm):
    """Files of this machine are registered by settings and the command line only, so they are not offered."""

    allowed_kinds = forms.MultipleChoiceField(
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Kinds it may bring; none chosen means the usual ones.",
    )

    view_url = forms.URLField(
        required=False,
        assume_scheme="https",
        label="Portal",
        widget=UnfoldAdminURLInputWidget,
        help_text=Source._meta.get_field("view_url").help_text,
    )

    class Meta:
        model = Source
        fields = FIELDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = Kind.objects.unrestricted("every curator may choose from all kinds").values_list(
            "name", flat=True
        )
        listed = list(names)
        stored = [name for name in (self.instance.allowed_kinds or []) if name not in listed]
        if "allowed_kinds" in self.fields:
            self.fields["allowed_kinds"].choices = [(name, name) for name in (*listed, *stored)]  # type: ignore[attr-defined]  # a choice field
        if "type" in self.fields:
            offered = [choice for choice in Source.Type.choices if choice[0] != Source.Type.FILE]
            self.fields["type"].choices = offered  # type: ignore[attr-defined]  # a choice field
        if (
            "target" in self.fields
        ):  # what is kept here has none; the service asks for it where there has to be one
            self.fields["target"].required = False
            self.fields["target"].help_text += " Leave it empty for what is kept here."


@admin.register(Source)
class SourceAdmin(ModelAdmin):
    form = SourceForm
    list_display = ("name", "type", "target", "state", "enabled", "last_success_at", "interval", "priority")
    list_filter = (FieldFilter.of("state"), "type", "enabled", "may_define_people", "registered_by")
    search_fields = ("name", "target", "entity_ref")
    ordering = ("name",)
    list_fullwidth = True
    actions = ("sync_chosen",)
    actions_detail = ("sync_now",)
    fieldsets = (
        (None, {"fields": ("name", "type", "target", "branch", "pattern", "presence", "view_url")}),
        ("What it may bring", {"fields": ("allowed_kinds", "may_define_people", "priority")}),
        ("When it is read", {"fields": ("enabled", "interval", "stale_after")}),
        ("Last reading", {"fields": READING}),
        ("Registered", {"fields": ("registered_by", "registered_actor", "entity_ref", "created_at")}),
    )
    add_fieldsets = fieldsets[:3]
    readonly_fields = (*READING, "registered_by", "registered_actor", "entity_ref", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Source | None = None) -> tuple[str, ...]:
        """Which file of this machine is read is decided on the machine."""
        fields = tuple(super().get_readonly_fields(request, obj))
        if obj is None:
            return fields
        if obj.type == Source.Type.MANAGED:
            return (*fields, "type", "target", "branch", "pattern", "presence", "interval")
        return (*fields, "type", "target") if obj.type == Source.Type.FILE else (*fields, "type")

    def view_on_site(self, source: Source) -> str:
        return reverse("catalog:source", args=[source.pk])

    def save_model(self, request: HttpRequest, obj: Source, form: Any, change: bool) -> None:
        names = form.changed_data if change else form.cleaned_data
        values = {name: form.cleaned_data[name] for name in names}
        if change:
            saved = update_source(actor=viewer_of(request), source=obj, changes=values)
        else:
            saved = create_source(actor=viewer_of(request), **values)
        obj.__dict__.update(saved.__dict__)

    def delete_model(self, request: HttpRequest, obj: Source) -> None:
        removed = delete_source(actor=viewer_of(request), source=obj)
        messages.info(request, f"{removed} entities went with it.")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The service removes what a source declared; counting is enough to ask the question."""
        names = [f"Source {source}" for source in objs]
        return names, {"sources": len(names)}, set(), []

    @object_action("Refresh", question="Reads the source as soon as a worker is free.", icon="sync")
    def sync_now(self, request: HttpRequest, source: Source, form: forms.Form) -> str:
        job = request_sync(actor=viewer_of(request), source=source)
        return f"{source.name} will be read, as job {job.pk}."

    @admin.action(description="Refresh", permissions=["curate"])
    def sync_chosen(self, request: HttpRequest, queryset: QuerySet[Source]) -> None:
        for source in queryset:
            request_sync(actor=viewer_of(request), source=source)
        self.message_user(request, f"{len(queryset)} will be read.", messages.SUCCESS)


@admin.register(Sync)
class SyncAdmin(ReadOnlyAdmin):
    list_display = (
        "started_at", "source", "state", "outcome", "took", "entities", "added", "changed", "removed", "problems",
        "actor",
    )  # fmt: skip
    list_select_related = ("source",)
    list_filter = ("state", "outcome", "source")
    search_fields = ("source__name", "actor", "version", "error")
    ordering = ("-started_at",)
    list_fullwidth = True
    readonly_fields = ("took",)
    fieldsets = (
        (None, {"fields": ("source", "state", "outcome", "error", "actor", "job_id")}),
        (
            "What came of it",
            {"fields": ("files", "documents", "entities", "added", "changed", "removed", "problems")},
        ),
        ("When", {"fields": ("started_at", "finished_at", "took", "version")}),
    )

    @admin.display(description="Took")
    def took(self, sync: Sync) -> str:
        return f"{(sync.finished_at - sync.started_at).total_seconds():.1f} s" if sync.finished_at else "-"
