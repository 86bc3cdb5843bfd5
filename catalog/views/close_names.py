"""What somebody may have meant whose address leads nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from django.db.models import Q

from catalog.models import Entity
from catalog.presenters.refs import RefView, entity_view, split_ref, with_note
from catalog.query.dictionary import is_storable
from catalog.query.scope import scope_of
from catalog.query.sql import Sql, concat, fetch, join, one_of
from catalog.views.viewing import kinds_for, named
from portal.access.viewer import Viewer

#: Names that are compared, and that are shown.
CANDIDATES, SHOWN = 400, 5
#: Names on either side that are compared where many references are looked up at once.
NEIGHBOURS = 20
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


def closest_names(viewer: Viewer, refs: Sequence[str]) -> dict[str, RefView]:
    """For each of these references the one entity that was most likely meant, where there is one. Two statements."""
    wanted = {ref: split_ref(ref) for ref in refs if is_storable(ref)}
    if not wanted:
        return {}
    visible = scope_of(viewer).sql
    columns = "SELECT e.ref, e.kind, e.name FROM catalog_entity e WHERE "
    # Neighbours in the order of names on both sides, and the same name elsewhere.
    parts = [concat(columns, one_of("e.kind", sorted(kinds_for(viewer))), " AND ",
                    one_of("e.name", sorted({name for _, _, name in wanted.values()})), " AND ", visible)]  # fmt: skip
    for kind, name in sorted({(kind, name) for kind, _, name in wanted.values()}):
        for side, order in ((">", "ASC"), ("<", "DESC")):
            near = Sql(f"e.kind = %s AND e.name {side} %s AND ", (kind, name))
            limit = f" ORDER BY e.name {order} LIMIT {NEIGHBOURS:d}"
            parts.append(concat("SELECT * FROM (", columns, near, visible, limit, ") n"))
    rows = fetch(join("UNION", parts))
    best = {ref: found for ref, asked in wanted.items() if (found := _closest(ref, *asked, rows))}
    known = {e.ref: e for e in named(Entity.objects.visible_to(viewer).filter(ref__in=set(best.values())))}
    kinds = kinds_for(viewer)
    return {ref: entity_view(known[found], kinds) for ref, found in best.items() if found in known}


def _closest(
    ref: str, kind: str, namespace: str, name: str, rows: Sequence[tuple[str, str, str]]
) -> str | None:
    """The same name first, then the most alike of the same kind."""
    best, likeness = None, ALIKE
    for other, other_kind, other_name in sorted(rows):
        if other == ref:
            continue
        if other_name == name:
            alike = 3.0 if other_kind == kind else 2.0
        elif other_kind == kind:
            alike = SequenceMatcher(None, name, other_name).ratio()
        else:
            continue
        if alike > likeness or (best is None and alike >= ALIKE):
            best, likeness = other, alike
    return best
