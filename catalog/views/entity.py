"""The page of one entity: its head, its tabs, the cards of its overview."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from catalog.models import Entity, Source
from catalog.presenters.refs import entity_url
from catalog.refs import RefError, canonical, parse_ref
from catalog.selectors import looks_after, moment, present_name
from catalog.views.entity_parts import document_of, page_of
from catalog.views.history import past_page
from catalog.views.refresh import shown_job
from catalog.views.removals import tombstone_page
from catalog.views.viewing import named, site, viewer_of
from portal.access.viewer import Viewer
from portal.plugins.points import EntityTab
from portal.plugins.producing import applies, produce
from portal.plugins.registry import registry

OVERVIEW = "overview"


@dataclass(frozen=True, slots=True)
class TabLink:
    """A tab in the row of tabs."""

    key: str
    title: str
    url: str
    count: int | None = None


@dataclass(frozen=True, slots=True)
class OpenTab:
    """The tab that is open, with what it made, or why it has nothing to show."""

    key: str
    title: str
    template: str
    context: Mapping[str, Any] | None
    problem: str
    wide: bool = False


def _find(viewer: Viewer, ref: str) -> Entity | None:
    """The entity at an address, with its document and source. One statement."""
    rows = named(Entity.objects.visible_to(viewer).filter(ref=ref))
    entity: Entity | None = rows.select_related("document", "source").first()
    return entity


def _entity(viewer: Viewer, namespace: str, kind: str, name: str) -> Entity:
    entity = _find(viewer, canonical(kind, namespace, name))
    if entity is None:
        raise Http404("There is no such entity.")
    return entity


def _refresh_url(viewer: Viewer, entity: Entity) -> str:
    """For those who may read its source again; empty where there is nothing to read."""
    source = entity.source
    if (
        source is None
        or not source.enabled
        or source.type == Source.Type.MANAGED
        or not looks_after(viewer, entity)
    ):
        return ""
    return reverse("catalog:entity-refresh", args=[entity.namespace, entity.kind, entity.name])


def _tabs(viewer: Viewer, entity: Entity) -> list[EntityTab]:
    return [tab for tab in registry.active(EntityTab, viewer) if applies(tab, entity)]


@require_safe
def entity(request: HttpRequest, namespace: str, kind: str, name: str, tab: str = OVERVIEW) -> HttpResponse:
    """One tab of one entity, or the entity as it was (``at=``). Another letter case leads to the one that counts."""
    viewer = viewer_of(request)
    ref = canonical(kind, namespace, name)
    at = moment(request.GET.get("at", ""))
    if at is not None and tab == OVERVIEW:
        return past_page(request, ref, at)
    found = _find(viewer, ref)
    if found is None:
        present = present_name(viewer, ref)
        return HttpResponseRedirect(entity_url(present, tab)) if present else tombstone_page(request, ref)
    address = entity_url(found.ref, tab)
    if request.path != address and request.path.lower() == address.lower():
        return HttpResponseRedirect(address)
    tabs = _tabs(viewer, found)
    chosen = next((entry for entry in tabs if entry.key == tab), None)
    if chosen is None:
        raise Http404("This entity has no such page.")
    made = produce(chosen, partial(chosen.context, viewer, found), subject=f"{found.ref} {viewer.actor}")
    context = {
        "view": page_of(viewer, found),
        "site": site(request),
        "job": shown_job(request, viewer),
        "refresh_url": _refresh_url(viewer, found),
        "tabs": [TabLink(entry.key, entry.title, entity_url(found.ref, entry.key)) for entry in tabs],
        "tab": OpenTab(
            chosen.key, chosen.title, chosen.template, made.value, made.problem, wide=chosen.key == "raw"
        ),
    }
    return render(request, "catalog/entity/base.html", context)


@require_safe
def definition_text(request: HttpRequest, namespace: str, kind: str, name: str) -> HttpResponse:
    """The definition of an API as it is, as plain text that no browser runs."""
    found = _entity(viewer_of(request), namespace, kind, name)
    definition = (document_of(found).get("spec") or {}).get("definition")
    if not isinstance(definition, str):
        raise Http404("This entity has no definition.")
    response = HttpResponse(definition, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'inline; filename="{found.name}.txt"'
    return response


@require_safe
def by_ref(request: HttpRequest, ref: str) -> HttpResponse:
    """``/catalog/by-ref/component:default/shop`` leads to the page of the entity."""
    try:
        parsed = parse_ref(ref.rstrip("/"), default_kind="component")
    except RefError as error:
        raise Http404(str(error)) from error
    return HttpResponseRedirect(entity_url(parsed.canonical))
