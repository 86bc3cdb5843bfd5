"""What somebody may have meant whose address leads nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher

from django.db.models import Q

from catalog.models import Entity
from catalog.presenters.refs import RefView, entity_view, with_note
from catalog.views.viewing import kinds_for, named
from portal.access.viewer import Viewer

#: Names that are compared, and that are shown.
CANDIDATES, SHOWN = 400, 5
#: How alike two names have to be (1 is the same).
ALIKE = 0.72


@dataclass(frozen=True, slots=True)
class _Near:
    likeness: float
    view: RefView


def close_names(viewer: Viewer, *, kind: str, namespace: str, name: str) -> list[RefView]:
    """The same name elsewhere, and names of the same kind that begin alike and differ little. Two statements."""
    kind, namespace, name = kind.lower(), namespace.lower(), name.lower()
    kinds = kinds_for(viewer)
    begins = name[:2]
    elsewhere = Q(kind__in=list(kinds), name=name)
    alike = Q(kind=kind, name__gte=begins, name__lt=begins + "\U0010ffff")
    rows = named(Entity.objects.visible_to(viewer).filter(elsewhere | alike)).order_by("kind", "name", "uid")
    found: list[_Near] = []
    for entity in rows[:CANDIDATES]:
        likeness = SequenceMatcher(None, name, entity.name).ratio()
        if entity.name == name:
            note = (
                "same name, another kind"
                if entity.kind != kind
                else f"same name, namespace {entity.namespace}"
            )
            found.append(_Near(2.0, with_note(entity_view(entity, kinds), note)))
        elif likeness >= ALIKE:
            found.append(_Near(likeness, with_note(entity_view(entity, kinds), "close")))
    found.sort(key=lambda near: (-near.likeness, near.view.ref))
    return [near.view for near in found[:SHOWN]]
