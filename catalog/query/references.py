"""References that lead nowhere, as a viewer sees them.

An entity that a viewer may not see is no entity to them: a reference to it looks like one to nothing, in counts and
lists as on pages, so that nobody learns from the difference that something hidden is there.
"""
# ruff: noqa: S608  (tables, columns and operators are our own words; values travel beside the text)

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet

from catalog.models import Entity, MissingTarget, Relation
from catalog.query.dictionary import is_storable
from catalog.query.scope import Scope, scope_of
from catalog.query.sql import TRUE, Sql, concat, fetch, fetch_one, join, one_of
from portal.access.viewer import Viewer
from portal.core.paging import decode_cursor, encode_cursor, malformed_cursor

NOTHING, FOUND = "nothing", "found"


def _unseen(scope: Scope) -> Sql:
    """True for relations ``r`` whose target the viewer cannot open. Inside, ``e`` is the target."""
    return concat(
        "NOT EXISTS (SELECT 1 FROM catalog_entity e WHERE e.ref = r.target_ref AND ", scope.sql, ")"
    )


def pointing_to_nothing(scope: Scope, alias: str) -> Sql:
    """True for rows of ``alias`` with a relation that leads nowhere; never null."""
    if scope.is_everything:
        # From the few references to nothing over the other direction of their relations.
        return Sql(
            f"{alias}.ref IN (SELECT r.target_ref FROM catalog_missingtarget m "
            "JOIN catalog_relation r ON r.source_ref = m.ref)"
        )
    pointers = f"SELECT 1 FROM catalog_relation r WHERE r.source_ref = {alias}.ref AND "
    return concat(f"EXISTS ({pointers}", _unseen(scope), ")")


def missing_targets(viewer: Viewer) -> QuerySet[MissingTarget]:
    """What entities point to and is none, for a viewer who sees all entities."""
    reason = "the viewer sees all entities"
    pointers = Entity.objects.unrestricted(reason).filter(ref=OuterRef("target_ref"))
    pointed = Relation.objects.unrestricted(reason).filter(Exists(pointers), source_ref=OuterRef("ref"))
    return MissingTarget.objects.visible_to(viewer).filter(Exists(pointed))


@dataclass(frozen=True, slots=True)
class MissingRef:
    """A reference to nothing.

    Attributes:
        entities: how many point to it.
        types: relation types by which they do, with how many by each, most first.
    """

    ref: str
    entities: int
    types: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Pointer:
    """An entity that points to nothing, and by which relation."""

    ref: str
    type: str


@dataclass(frozen=True, slots=True)
class MissingPage:
    """References to nothing, those with the most pointers first, and the cursors of the pages beside."""

    rows: list[MissingRef]
    next_cursor: str = ""
    previous_cursor: str = ""


class References:
    """References to nothing that a viewer can know of.

    Args:
        owners: of the entities that point there; None for all.
    """

    def __init__(self, viewer: Viewer, owners: Iterable[str] | None = None) -> None:
        self.scope = scope_of(viewer)
        self.owners = None if owners is None else [ref for ref in owners if is_storable(ref)]

    def _pointers(self, refs: Iterable[str] | None = None) -> Sql:
        """(ref, type, source_ref), each once."""
        parts = [self.scope.sql]
        if self.owners is not None:
            parts.append(one_of("e.owner_ref", self.owners))
        if self.scope.is_everything:
            tables = (
                "catalog_missingtarget m JOIN catalog_relation i ON i.source_ref = m.ref "
                "JOIN catalog_relation r ON r.source_ref = i.target_ref AND r.target_ref = m.ref "
                "JOIN catalog_entity e ON e.ref = r.source_ref"
            )
        else:
            tables = "catalog_relation r JOIN catalog_entity e ON e.ref = r.source_ref"
            parts.append(_unseen(self.scope))
        if refs is not None:
            parts.append(one_of("m.ref" if self.scope.is_everything else "r.target_ref", list(refs)))
        condition = join("AND", [part for part in parts if part is not TRUE] or [TRUE])
        chosen = "SELECT DISTINCT r.target_ref AS ref, r.type, r.source_ref"
        return concat(f"{chosen} FROM {tables} WHERE ", condition)

    def counts(self) -> tuple[int, int]:
        """How many references lead nowhere, and how many entities have one. One statement."""
        numbers = "SELECT COUNT(DISTINCT p.ref), COUNT(DISTINCT p.source_ref) FROM ("
        row = fetch_one(concat(numbers, self._pointers(), ") p"))
        return (row[0], row[1]) if row else (0, 0)

    def page(self, limit: int, cursor: str = "") -> MissingPage:
        """One page. Two statements.

        Raises:
            InputError: ``cursor.malformed``.
        """
        position = _position(cursor) if cursor else None
        backwards = position is not None and position[2]
        number = "COUNT(DISTINCT p.source_ref)"
        beyond: Sql | str = ""
        if position is not None:
            count, ref, _ = position
            less, more = ("<", ">") if not backwards else (">", "<")
            text = f" HAVING {number} {less} %s OR ({number} = %s AND p.ref {more} %s)"
            beyond = Sql(text, (count, count, ref))
        order = "2 ASC, 1 DESC" if backwards else "2 DESC, 1 ASC"
        found = fetch(
            concat(f"SELECT p.ref, {number} FROM (", self._pointers(), ") p GROUP BY p.ref", beyond,
                   f" ORDER BY {order} LIMIT {limit + 1:d}")
        )  # fmt: skip
        more_rows, found = len(found) > limit, found[:limit]
        if backwards:
            found.reverse()
        types = self._types([ref for ref, _ in found])
        rows = [MissingRef(ref, count, types.get(ref, ())) for ref, count in found]
        if not rows:
            return MissingPage(rows)
        has_next, has_previous = backwards or more_rows, (more_rows if backwards else position is not None)
        return MissingPage(
            rows,
            _cursor(rows[-1], False) if has_next else "",
            _cursor(rows[0], True) if has_previous else "",
        )

    def _types(self, refs: list[str]) -> dict[str, tuple[tuple[str, int], ...]]:
        if not refs:
            return {}
        found: dict[str, list[tuple[str, int]]] = {}
        counted = "SELECT p.ref, p.type, COUNT(*) FROM ("
        for ref, kind, count in fetch(concat(counted, self._pointers(refs), ") p GROUP BY p.ref, p.type")):
            found.setdefault(ref, []).append((kind, count))
        return {ref: tuple(sorted(some, key=lambda item: (-item[1], item[0]))) for ref, some in found.items()}

    def pointers(self, ref: str, limit: int, after: str = "") -> list[Pointer]:
        """Entities that point to ``ref``, by reference and relation, those after ``after``. One statement."""
        if not (is_storable(ref) and is_storable(after)):
            return []
        rows = fetch(
            concat("SELECT p.source_ref, p.type FROM (", self._pointers([ref]), ") p WHERE ",
                   Sql("p.source_ref > %s", (after,)), f" ORDER BY 1, 2 LIMIT {limit:d}")
        )  # fmt: skip
        return [Pointer(source, kind) for source, kind in rows]


def _cursor(row: MissingRef, back: bool) -> str:
    return encode_cursor({"at": [row.entities, row.ref], "back": back})


def _position(text: str) -> tuple[int, str, bool]:
    match decode_cursor(text):
        case {"at": [int() as count, str() as ref], "back": bool() as back} if (
            is_storable(ref) and count < 2**60
        ):
            return count, ref, back
        case _:
            raise malformed_cursor()
