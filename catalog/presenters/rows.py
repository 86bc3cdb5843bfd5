"""Entities as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from catalog.models import Entity
from catalog.presenters.refs import KindBook, RefView, entity_url, icon_of, ref_view, wants_owner


@dataclass(frozen=True, slots=True)
class EntityRow:
    """One row. ``owner`` and ``system`` are None where the list did not look them up or there is none."""

    ref: str
    title: str
    url: str
    icon: str
    kind_title: str
    type: str
    lifecycle: str
    changed_at: datetime
    state_level: str = ""
    state_text: str = ""
    owner: RefView | None = None
    system: RefView | None = None
    wants_owner: bool = False


def state_words(entity: Entity) -> tuple[str, str]:
    """Level and word for what is unusual about an entity; two empty texts where nothing is."""
    if entity.state == Entity.State.MISSING:
        return "warn", "source unreadable"
    if entity.state == Entity.State.ORPHANED:
        return "warn", "orphaned"
    return ("bad", "last reading failed") if entity.has_errors else ("", "")


def entity_row(entity: Entity, kinds: KindBook, known: Mapping[str, Entity] | None = None) -> EntityRow:
    """``entity`` as a row; with ``known`` also its owner and system, as links."""
    level, text = state_words(entity)
    kind = kinds[entity.kind]
    return EntityRow(
        ref=entity.ref,
        title=getattr(entity, "shown_title", "") or entity.name,
        url=entity_url(entity.ref),
        icon=icon_of(kind, entity.type),
        kind_title=kind.title,
        type=entity.type or "",
        lifecycle=entity.lifecycle or "",
        changed_at=entity.changed_at,
        state_level=level,
        state_text=text,
        owner=ref_view(entity.owner_ref, kinds, known) if known is not None and entity.owner_ref else None,
        system=ref_view(entity.system_ref, kinds, known) if known is not None and entity.system_ref else None,
        wants_owner=not entity.owner_ref and wants_owner(entity.kind),
    )
