"""Entities that several places declare: who has it, who lost, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q

from catalog.models import Contender, Entity, Source
from portal.access.viewer import Viewer
from portal.core.paging import Keyset, SortKey, decode_cursor, encode_cursor, malformed_cursor

_ORDER = Keyset((SortKey("entity_ref"), SortKey("pk")))


@dataclass(frozen=True, slots=True)
class Side:
    """A declaration: its source (None where nobody declares it any more) and place."""

    source: Source | None
    url: str
    document: int
    line: int

    @property
    def name(self) -> str:
        return self.source.name if self.source else "nobody"


@dataclass(frozen=True, slots=True)
class Conflict:
    """One declaration that lost against the one that counts. ``reason`` is a sentence."""

    ref: str
    owner_ref: str
    winner: Side
    loser: Side
    reason: str
    key: int


@dataclass(frozen=True, slots=True)
class ConflictPage:
    rows: list[Conflict]
    next_cursor: str = ""
    previous_cursor: str = ""


def reason_of(winner: Source | None, loser: Source) -> str:
    """Why the one who has an entity has it."""
    if winner is None:
        return f"Nobody declares it any more; the next reading of {loser.name} takes it over."
    if winner.pk == loser.pk:
        return f"{winner.name} declares it twice; the file that is read first counts."
    if winner.priority < loser.priority:
        return f"{winner.name} has priority {winner.priority}, {loser.name} {loser.priority}: the smaller number wins."
    if winner.priority == loser.priority:
        return f"Both have priority {winner.priority}, and {winner.name} declared it first."
    return f"{loser.name} has the better priority now; its next reading takes it over."


class Conflicts:
    """Conflicts that a viewer can know of: they see the entity and the source that lost.

    Args:
        source: on either side.
        owners: of the entity.
        ref: of the entity.
    """

    def __init__(
        self,
        viewer: Viewer,
        *,
        source: UUID | None = None,
        owners: list[str] | None = None,
        ref: str | None = None,
    ) -> None:
        self.viewer = viewer
        entities = Entity.objects.visible_to(viewer)
        if owners is not None:
            entities = entities.filter(owner_ref__in=owners)
        if ref is not None:
            entities = entities.filter(ref=ref)
        rows = Contender.objects.visible_to(viewer).filter(
            same_file=False,
            entity_ref__in=entities.order_by().values("ref"),
            source__in=Source.objects.visible_to(viewer).order_by().values("pk"),
        )
        if source is not None:
            won = Entity.objects.visible_to(viewer).filter(source=source).order_by().values("ref")
            rows = rows.filter(Q(source=source) | Q(entity_ref__in=won))
        self.rows = rows

    def count(self) -> int:
        """Declarations that lost."""
        return int(self.rows.count())

    def page(self, limit: int, cursor: str = "") -> ConflictPage:
        """By reference. Two statements.

        Raises:
            InputError: ``cursor.malformed``.
        """
        rows, backwards = self.rows, False
        if cursor:
            position, backwards = _position(cursor)
            rows = rows.filter(_ORDER.beyond(position, backwards=backwards))
        found = list(
            rows.select_related("source").order_by(*_ORDER.order_by(backwards=backwards))[: limit + 1]
        )
        more, found = len(found) > limit, found[:limit]
        if backwards:
            found.reverse()
        conflicts = self._described(found)
        if not conflicts:
            return ConflictPage([])
        has_next, has_previous = backwards or more, more if backwards else bool(cursor)
        return ConflictPage(
            conflicts,
            _cursor(conflicts[-1], False) if has_next else "",
            _cursor(conflicts[0], True) if has_previous else "",
        )

    def _described(self, contenders: list[Contender]) -> list[Conflict]:
        refs = {row.entity_ref for row in contenders}
        entities = Entity.objects.visible_to(self.viewer).filter(ref__in=refs).select_related("source")
        winners = {entity.ref: entity for entity in entities} if refs else {}
        return [_conflict(row, winners[row.entity_ref]) for row in contenders if row.entity_ref in winners]


def _conflict(row: Contender, entity: Entity) -> Conflict:
    return Conflict(
        ref=row.entity_ref,
        owner_ref=entity.owner_ref or "",
        winner=Side(entity.source, entity.url, entity.document_index, entity.line),
        loser=Side(row.source, row.url, row.document, row.line),
        reason=reason_of(entity.source, row.source),
        key=row.pk,
    )


def _cursor(conflict: Conflict, back: bool) -> str:
    return encode_cursor({"at": [conflict.ref, conflict.key], "back": back})


def _position(text: str) -> tuple[list[Any], bool]:
    match decode_cursor(text):
        case {"at": [str() as ref, int() as key], "back": bool() as back} if (
            "\0" not in ref and 0 <= key < 2**62
        ):
            return [ref, key], back
        case _:
            raise malformed_cursor()
