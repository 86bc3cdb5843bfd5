"""The overview of an entity: every registered card that applies, in three places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from catalog.models import Entity
from portal.access.viewer import Viewer
from portal.plugins.points import EntityCard
from portal.plugins.producing import applies, produce
from portal.plugins.registry import registry

COLUMNS = ("lead", "main", "side")


@dataclass(frozen=True, slots=True)
class Card:
    """A card with what it made, now or earlier, or why it has nothing to show."""

    key: str
    title: str
    template: str
    context: Mapping[str, Any] | None
    age: float
    problem: str


def overview(viewer: Viewer, entity: Entity) -> Mapping[str, Any]:
    """Cards by column. A card that fails or is late says so in its own place."""
    columns: dict[str, list[Card]] = {column: [] for column in COLUMNS}
    for entry in registry.active(EntityCard, viewer):
        if not applies(entry, entity):
            continue
        made = produce(entry, partial(entry.context, viewer, entity), subject=f"{entity.ref} {viewer.actor}")
        if made.value is not None or made.problem:
            card = Card(entry.key, entry.title, entry.template, made.value, made.age, made.problem)
            columns.get(entry.column, columns["main"]).append(card)
    return columns
