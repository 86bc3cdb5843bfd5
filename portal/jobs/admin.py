"""Jobs are looked at and cancelled; schedules are looked at and paused."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portal.access.admin import FieldFilter, ModelAdmin, ReadOnlyAdmin, object_action, viewer_of
from portal.core.errors import ConflictError
from portal.jobs.models import Job, Schedule
from portal.jobs.services import cancel, set_schedule


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ("kind", "subject", "state", "progress", "actor", "created_at", "took", "attempts", "why")
    list_filter = ("state", FieldFilter.of("kind"))
    search_fields = ("kind", "subject", "actor", "request_id", "worker")
    ordering = ("-created_at",)
    list_fullwidth = True
    actions = ("cancel_chosen",)
    actions_detail = ("cancel",)
    fieldsets = (
        (None, {"fields": ("kind", "subject", "state", "progress", "why", "remedy")}),
        ("When", {"fields": ("created_at", "run_after", "started_at", "finished_at", "took")}),
        (
            "Who",
            {
                "fields": (
                    "actor",
                    "worker",
                    "attempts",
                    "fence",
                    "lease_until",
                    "cancel_requested",
                    "request_id",
                )
            },
        ),
        ("What", {"fields": ("payload", "result", "error", "key", "id")}),
    )
    readonly_fields = ("progress", "took", "why", "remedy")

    @admin.display(description="Progress")
    def progress(self, job: Job) -> SafeString | str:
        if job.is_over or not job.progress_total:
            return "-"
        return format_html(
            '<span class="cb-progress"><progress max="{}" value="{}"></progress> {} of {} {}</span>',
            job.progress_total,
            job.progress_done,
            job.progress_done,
            job.progress_total,
            job.progress_text,
        )

    @admin.display(description="Took")
    def took(self, job: Job) -> str:
        if job.started_at is None or job.finished_at is None:
            return "-"
        return f"{(job.finished_at - job.started_at).total_seconds():.1f} s"

    @admin.display(description="Error")
    def why(self, job: Job) -> str:
        return (job.error or {}).get("message", "") or "-"

    @admin.display(description="What to do")
    def remedy(self, job: Job) -> str:
        return (job.error or {}).get("remedy", "") or "-"

    @object_action(
        "Cancel",
        question="A waiting job ends at once, a running one at its next step.",
        icon="cancel",
        danger=True,
    )
    def cancel(self, request: HttpRequest, job: Job, form: forms.Form) -> str:
        cancel(actor=viewer_of(request), job=job)
        return f"{job} will stop." if job.state == Job.State.RUNNING else f"{job} is cancelled."

    @admin.action(description="Cancel", permissions=["curate"])
    def cancel_chosen(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        stopped = over = 0
        for job in queryset:
            try:
                cancel(actor=viewer_of(request), job=job)
                stopped += 1
            except ConflictError:
                over += 1
        self.message_user(request, f"{stopped} cancelled, {over} were over already.", messages.SUCCESS)


@admin.register(Schedule)
class ScheduleAdmin(ModelAdmin):
    """What there is to do comes from the code that owns it; how often and whether, a person may change."""

    list_display = ("name", "kind", "subject", "every", "enabled", "next_run_at", "last_run_at")
    list_filter = ("enabled", FieldFilter.of("kind"))
    search_fields = ("name", "kind", "subject")
    ordering = ("name",)
    fields = (
        "name",
        "kind",
        "subject",
        "payload",
        "every",
        "jitter",
        "enabled",
        "next_run_at",
        "last_run_at",
    )
    readonly_fields = ("name", "kind", "subject", "payload", "next_run_at", "last_run_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        saved = set_schedule(
            actor=viewer_of(request),
            name=obj.name,
            kind=obj.kind,
            subject=obj.subject,
            payload=obj.payload,
            every=obj.every,
            jitter=obj.jitter,
            enabled=obj.enabled,
        )
        obj.__dict__.update(saved.__dict__)
