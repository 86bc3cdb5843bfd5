"""Entities as rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from catalog.models import Entity
from catalog.presenters.refs import KindBook, Links, RefView, entity_url, icon_of, wants_owner


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


def entity_row(entity: Entity, kinds: KindBook, links: Links | None = None) -> EntityRow:
    """``entity`` as a row; with ``links`` also its owner and system."""
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
        owner=links[entity.owner_ref] if links is not None and entity.owner_ref else None,
        system=links[entity.system_ref] if links is not None and entity.system_ref else None,
        wants_owner=not entity.owner_ref and wants_owner(entity.kind),
    )
