"""What the catalog puts on the home page. Registered in ``catalog.plugin``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Count
from django.urls import reverse
from django.utils.http import urlencode

from catalog.models import Entity, Problem
from catalog.presenters.rows import entity_row
from catalog.views.problems import present
from catalog.views.viewing import admin_address, identities, kinds_for, named
from portal.access.viewer import Viewer
from portal.core.remember import remembered

NEEDS, YOURS, CHANGED = 5, 8, 8


def _kind_counts(viewer: Viewer) -> dict[str, int]:
    """Entities by kind. One statement a request."""
    rows = Entity.objects.visible_to(viewer).order_by().values_list("kind").annotate(n=Count("pk"))
    return remembered(("catalog.kind_counts", viewer.actor), lambda: dict(rows))


def getting_started(viewer: Viewer) -> Mapping[str, Any] | None:
    """The first steps, while the catalog is empty."""
    if _kind_counts(viewer):
        return None
    return {"add_url": admin_address(viewer, "catalog_source_add")}


def needs_you(viewer: Viewer) -> Mapping[str, Any] | None:
    """Problems with things that the viewer or their teams own. Up to six statements."""
    mine = identities(viewer)
    if not mine:
        return None
    rows = Problem.objects.visible_to(viewer).filter(owner_ref__in=mine)
    found = list(rows.order_by("severity", "-first_seen_at", "pk")[: NEEDS + 1])
    total = rows.count() if len(found) > NEEDS else len(found)
    return {
        "problems": present(viewer, found[:NEEDS]) if found else [],
        "total": total,
        "all_url": f"{reverse('catalog:problems')}?mine=1",
    }


def yours(viewer: Viewer) -> Mapping[str, Any] | None:
    """What the viewer and their teams own, changed last first."""
    mine = identities(viewer)
    if not mine:
        return None
    rows = Entity.objects.visible_to(viewer).owned_by(*mine)
    found = list(named(rows).order_by("-changed_at", "-pk")[: YOURS + 1])
    total = rows.count() if len(found) > YOURS else len(found)
    kinds = kinds_for(viewer)
    return {
        "rows": [entity_row(row, kinds) for row in found[:YOURS]],
        "count_text": f"{YOURS} of {total:,}" if total > YOURS else str(total),
        "more_url": f"{reverse('catalog:index')}?{urlencode({'owner': mine}, doseq=True)}" if found else "",
        "more_text": f"All {total:,}",
        "empty": "Nothing names you or a team of yours as owner.",
    }


def changed(viewer: Viewer) -> Mapping[str, Any] | None:
    """What changed last, anywhere."""
    found = named(Entity.objects.visible_to(viewer)).order_by("-changed_at", "-pk")[:CHANGED]
    kinds = kinds_for(viewer)
    rows = [entity_row(row, kinds) for row in found]
    return {"rows": rows, "all_url": f"{reverse('catalog:index')}?sort=-updated"} if rows else None


def kinds(viewer: Viewer) -> Mapping[str, Any] | None:
    """How many entities of each kind there are."""
    book = kinds_for(viewer)
    counts = _kind_counts(viewer)
    places = {key: place for place, key in enumerate(book)}
    shown = sorted(counts, key=lambda key: (places.get(key, len(places)), key))
    return {"kinds": [{"kind": book[key], "count": counts[key]} for key in shown]} if shown else None
