"""Entities, to look at: their sources write them."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from import_export.admin import ExportMixin
from import_export.resources import ModelResource
from unfold.contrib.import_export.forms import ExportForm

from catalog.models import Entity, EntityDocument, Problem, Relation
from catalog.presenters.refs import entity_url
from catalog.query import EntityQuery
from catalog.query.conflicts import Conflicts
from catalog.query.freshness import freshness_of
from portal.access.admin import FieldFilter, ReadOnlyAdmin, once, viewer_of
from portal.access.admin.exports import RecordedExport
from portal.access.viewer import Viewer

MOST_SHOWN = 200


class OwnerFilter(admin.SimpleListFilter):
    title = "owner"
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("unresolved", "Not in the catalog"), ("none", "None")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Entity]) -> QuerySet[Entity]:
        if self.value() == "none":
            return queryset.filter(owner_ref__isnull=True)
        if self.value() == "unresolved":
            owners = Entity.objects.visible_to(viewer_of(request)).filter(ref=OuterRef("owner_ref"))
            return queryset.filter(~Exists(owners), owner_ref__isnull=False)
        return queryset


class _AnswerFilter(admin.SimpleListFilter):
    """One of the portal's filters whose answer is worked out; ``words`` are its values with what they are called."""

    words: tuple[tuple[str, str], ...] = ()

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return list(self.words)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Entity]) -> QuerySet[Entity]:
        value = self.value()
        if value not in dict(self.words):
            return queryset
        chosen = EntityQuery(viewer_of(request), include={str(self.parameter_name): [value]}).entities()
        return queryset.filter(pk__in=chosen.order_by().values("pk"))


class FreshFilter(_AnswerFilter):
    title, parameter_name = "freshness", "fresh"
    words = (("fresh", "Fresh"), ("stale", "Stale"))


class ReferencesFilter(_AnswerFilter):
    title, parameter_name = "references", "refs"
    words = (("nothing", "Points to nothing"), ("found", "All found"))


class EntityResource(ModelResource):
    """What an export of entities holds."""

    class Meta:
        model = Entity
        fields = ("ref", "kind", "namespace", "name", "label", "type", "lifecycle", "owner_ref", "system_ref",
                  "state", "url", "line", "commit", "created_at", "changed_at")  # fmt: skip


def entity_link(ref: str) -> SafeString:
    """A reference, linked to the page of the portal."""
    url = entity_url(ref)
    return (
        format_html('<a href="{}"><code class="cb-code">{}</code></a>', url, ref) if url else SafeString("-")
    )


@admin.register(Entity)
class EntityAdmin(RecordedExport, ExportMixin, ReadOnlyAdmin):
    list_display = ("ref", "label", "type", "lifecycle", "owner", "condition", "source", "changed_at")
    list_select_related = ("source",)
    list_filter = (
        FieldFilter.of("kind"),
        "state",
        "has_errors",
        FreshFilter,
        ReferencesFilter,
        OwnerFilter,
        FieldFilter.of("lifecycle"),
        "source",
    )
    search_fields = ("ref", "label", "owner_ref", "uid")
    ordering = ("label", "ref")
    list_fullwidth = True
    resource_classes = (EntityResource,)
    export_form_class = ExportForm
    fieldsets = (
        (None, {"fields": ("ref", "label", "type", "lifecycle", "owner", "system", "state", "state_reason")}),
        (
            "Where it comes from",
            {"fields": ("source", "file", "conflicts", "commit", "confirmed", "changed_at", "created_at")},
        ),
        ("Problems", {"fields": ("problems",)}),
        ("Relations", {"fields": ("relations",)}),
        ("Document", {"fields": ("document_text", "etag", "uid")}),
    )
    readonly_fields = (
        "owner",
        "system",
        "file",
        "conflicts",
        "confirmed",
        "problems",
        "relations",
        "document_text",
    )

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Entity | None:
        """The fields below read further rows, and need to know for whom."""
        entity: Entity | None = super().get_object(request, object_id, from_field)
        if entity is not None:
            entity._viewer = viewer_of(request)  # type: ignore[attr-defined]  # for this page only
        return entity

    def view_on_site(self, entity: Entity) -> str:
        return entity_url(entity.ref)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @admin.display(ordering="state", description="State")
    def condition(self, entity: Entity) -> str:
        state = entity.get_state_display()
        return f"{state}, last reading failed" if entity.has_errors else state

    @admin.display(ordering="owner_ref")
    def owner(self, entity: Entity) -> SafeString:
        return entity_link(entity.owner_ref or "")

    @admin.display(ordering="system_ref")
    def system(self, entity: Entity) -> SafeString:
        return entity_link(entity.system_ref or "")

    @admin.display(description="File")
    def file(self, entity: Entity) -> str:
        return f"{entity.url} (document {entity.document_index + 1}, line {entity.line})"

    @admin.display(description="Also declared by")
    @once
    def conflicts(self, entity: Entity) -> SafeString | str:
        """Declarations that lost against this one, and why."""
        found = Conflicts(_viewer(entity), ref=entity.ref).page(MOST_SHOWN).rows
        lines = [(row.loser.name, row.loser.url, row.loser.line, row.reason) for row in found]
        return format_html_join("", "<p>{}, {} (line {}), which lost. {}</p>", lines) or "Nobody"

    @admin.display(description="Confirmed")
    def confirmed(self, entity: Entity) -> str:
        found = freshness_of(entity)
        if found.confirmed_at is None:
            return "Not yet" if entity.source_id else "Never: no source declares it"
        return f"{found.confirmed_at:%Y-%m-%d %H:%M:%S} UTC{', stale' if found.stale else ''}"

    @admin.display(description="Problems")
    @once
    def problems(self, entity: Entity) -> SafeString | str:
        rows = Problem.objects.visible_to(_viewer(entity)).filter(entity_ref=entity.ref)[:MOST_SHOWN]
        lines = [
            (reverse("admin:catalog_problem_change", args=[row.pk]), row.get_severity_display(), row.message)
            for row in rows
        ]
        return format_html_join("", '<p><a href="{}">{}</a>: {}</p>', lines) or "None"

    @admin.display(description="Relations")
    @once
    def relations(self, entity: Entity) -> SafeString | str:
        """Both directions; of very many the first ones."""
        rows = Relation.objects.visible_to(_viewer(entity)).filter(source_ref=entity.ref)
        pairs = rows.order_by("type", "target_ref").values_list("type", "target_ref").distinct()[:MOST_SHOWN]
        return (
            format_html_join("", "<p>{} {}</p>", ((kind, entity_link(ref)) for kind, ref in pairs)) or "None"
        )

    @admin.display(description="Document")
    @once
    def document_text(self, entity: Entity) -> SafeString | str:
        rows = EntityDocument.objects.visible_to(_viewer(entity)).filter(entity=entity)
        text = rows.values_list("text", flat=True).first()
        if text is None:
            return "None"
        return format_html(
            '<pre class="cb-document">{}</pre>', json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        )


def _viewer(entity: Any) -> Viewer:
    viewer: Viewer = entity._viewer
    return viewer
