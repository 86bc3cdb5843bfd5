"""One question about entities: filters and access in one, behind every list, page, count and facet."""

from __future__ import annotations

import datetime as dt
from array import array
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from django.core.exceptions import EmptyResultSet, ValidationError
from django.db.models import Field

from catalog.models import Entity
from catalog.query.compile import Matches, compile_condition, names_letters
from catalog.query.conditions import (
    COLUMNS,
    DERIVED,
    EVERYTHING,
    Among,
    Condition,
    Valued,
    all_of,
    is_volatile,
    leaves,
    names_relation,
    selection,
)
from catalog.query.cursor import StockCursor, TextFilter
from catalog.query.dictionary import Dictionary, is_storable
from catalog.query.documents import texts_by_ref, texts_of
from catalog.query.facets import FacetCount, FacetGroup, count_values
from catalog.query.frame import NOW, Frame
from catalog.query.freshness import Group, judged, read_group
from catalog.query.fulltext import text_condition
from catalog.query.lists import Listing, Row, is_rare, listing_by, numbers_by_all
from catalog.query.memory import entities_version, memory
from catalog.query.ordering import Order, PortalOrder, portal_order
from catalog.query.scope import Scope, scope_of
from catalog.query.sql import FALSE, TRUE, Sql, concat, fetch, fetch_one, join
from catalog.querysets import EntityQuerySet
from portal.access.viewer import VIEW, Viewer
from portal.core.paging import Keyset, SortKey, decode_cursor, encode_cursor, malformed_cursor

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list, and the cursors of the pages beside it (empty where there is none)."""

    entities: list[Entity]
    next_cursor: str = ""
    previous_cursor: str = ""


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """The same as stock answers it: document texts, and the total of the list."""

    texts: list[str]
    total: int
    next_cursor: str = ""
    previous_cursor: str = ""


#: Where the portal's search box looks.
TEXT_FIELDS = ("metadata.name", "metadata.title", "metadata.description", "metadata.tags")
NO_FILTERS: Mapping[str, Sequence[str]] = {}
#: No version was read yet.
UNREAD = -1
Dressed = Callable[[EntityQuerySet], EntityQuerySet]


def plain(rows: EntityQuerySet) -> EntityQuerySet:
    """Rows without further columns."""
    return rows


class EntityQuery:
    """Entities that ``viewer`` may see and that fit; asked once for each thing that a page shows::

        query = EntityQuery(
            viewer,
            include={"kind": ["component"], "owner": ["group:default/pay"]},
            exclude={"spec.lifecycle": ["deprecated"]},
            text="ledger",
            order="-changed_at",
        )
        page = query.page(25, cursor=request.GET.get("cursor", ""))
        page.entities, page.next_cursor, page.previous_cursor
        query.count()
        query.facets(["kind", "spec.type", "owner", "metadata.tags"])["kind"]  # [FacetCount("Component", 12), ...]

    Each question costs one statement, plus at most three for all of them together: the number of the last publication
    and the integers of keys and values. Counts and facets are remembered until the next publication.

    Args:
        viewer: for whom; rows are narrowed by ``visible_to``.
        where: a condition, as ``parse_filters`` and ``parse_predicate`` give it.
        include: name to values; each name has to have one of its values. A name is a key of the document in any case
            (``spec.type``, ``metadata.tags``, ``relations.ownedBy``) or a word of ``COLUMNS`` (``state``, ``errors``,
            ``owner``, ``system``, ``source``), for which the empty text means "has none", or of ``DERIVED``.
        exclude: the same; no name may have any of its values.
        text: a term for the portal's fields, or a term with its own fields; substring, any case.
        order: a word of ``PORTAL_ORDERS`` (``label``, ``owner``, ``changed_at`` and so on; ``-`` in front turns it
            round), with empty values last; or an ``Order`` as stock sorts; or None, by uid.
        version: number of the last publication, where the caller has read it already.
        frame: the tables that are asked; for the past see ``past.PastQuery``.
    """

    def __init__(
        self,
        viewer: Viewer,
        *,
        where: Condition = EVERYTHING,
        include: Mapping[str, Sequence[str]] = NO_FILTERS,
        exclude: Mapping[str, Sequence[str]] = NO_FILTERS,
        text: str | TextFilter | None = None,
        order: str | Order | PortalOrder | None = None,
        action: str = VIEW,
        version: int | None = UNREAD,
        frame: Frame = NOW,
    ) -> None:
        self.viewer = viewer
        self.where = where
        self.include = include
        self.exclude = exclude
        self.text = TextFilter(text, TEXT_FIELDS) if isinstance(text, str) else text
        self.order = portal_order(order) if isinstance(order, str) else order
        self.action = action
        self.frame = frame
        self._version = version
        self.scope: Scope = scope_of(viewer, action)
        self._dictionary: Dictionary | None = None
        self.condition = self._condition(include)

    # --- the question

    @property
    def version(self) -> int | None:
        """Under which answers are remembered; None inside a transaction."""
        if self._version == UNREAD:
            self._version = entities_version()
        return self._version

    @property
    def remembered_under(self) -> int | None:
        """The version for answers to this viewer; None where they may not be remembered."""
        return self._version_for(self.condition)

    def _version_for(self, condition: Condition) -> int | None:
        kept = self.scope.key is not None and self.frame is NOW and not is_volatile(condition)
        return self.version if kept else None

    def entities(self) -> EntityQuerySet:
        """The entities as a queryset, in no order."""
        rows = Entity.objects.visible_to(self.viewer, self.action)
        if self.condition == EVERYTHING and self.frame.narrower is TRUE:
            return rows
        return rows.filter(Matches(self.condition, self._learned([self.condition]), self.frame.narrower))

    def count(self) -> int:
        """How many entities there are, each once. Those that the order leaves out do not count."""
        condition = self.condition
        if isinstance(self.order, Order):
            condition = all_of(condition, Valued(self.order.key.lower()))

        def count() -> int:
            counting = concat("SELECT COUNT(*) FROM catalog_entity e WHERE ", self._seen(condition))
            row = fetch_one(self.frame.around(counting))
            return row[0] if row else 0

        return self._recall(("count", condition), count, lambda _: 8)

    def lengths_of(self, others: Sequence[EntityQuery]) -> list[int]:
        """``count`` of other questions of the same viewer, in their order. One statement for all of them."""
        conditions = [other.condition for other in others]
        scope = self.scope.key
        keys = {condition: (scope, ("count", condition)) for condition in conditions}
        known: dict[Condition, int] = {
            c: number
            for c, key in keys.items()
            if (number := memory.get(self._version_for(c), key)) is not None
        }
        if missing := [c for c in keys if c not in known]:
            self._learned(missing)
            counting = [
                concat(f"SELECT {place:d}, ", "COUNT(*) FROM catalog_entity e WHERE ", self._seen(condition))
                for place, condition in enumerate(missing)
            ]
            for place, number in fetch(self.frame.around(join("UNION ALL", counting))):
                known[missing[place]] = number
                memory.put(self._version_for(missing[place]), keys[missing[place]], number, 8)
        return [known[condition] for condition in conditions]

    def facets(self, keys: Iterable[str], *, apart: bool = False) -> dict[str, list[FacetCount]]:
        """Values of each key, as written, with the number of entities that have them; sorted by value.

        Args:
            keys: keys of the document in any case, or words of ``COLUMNS`` and ``DERIVED``. The answer has them
                as given.
            apart: leave out a key's own ``include`` when counting it, as filters in a portal do.
        """
        given = list(dict.fromkeys(keys))
        groups: dict[Condition, list[str]] = {}
        for name in given:
            own = {key for key in self.include if key.lower() == name.lower()} if apart else set()
            condition = (
                self._condition({k: v for k, v in self.include.items() if k not in own})
                if own
                else self.condition
            )
            groups.setdefault(condition, []).append(name)
        kept = {name: name if name in COLUMNS else name.lower() for name in given}
        found = self._facets({c: dict.fromkeys(kept[name] for name in names) for c, names in groups.items()})
        counted = {name: found[c][kept[name]] for c, names in groups.items() for name in names}
        return {name: _judged(counted[name]) if name == "fresh" else counted[name] for name in given}

    def confirmations(self) -> list[Group]:
        """The entities in groups that were confirmed together."""
        counted = self._facets({self.condition: ("fresh",)})[self.condition]["fresh"]
        return [read_group(item.value, item.count) for item in counted]

    # --- lists

    def page(self, limit: int, *, cursor: str = "", with_documents: bool = False) -> Page:
        """Rows of the portal's list.

        Args:
            limit: rows at most, 1 or more.
            cursor: of the page beside it; it holds a position, not the question.

        Raises:
            InputError: ``cursor.malformed``; also for a cursor of another order.
        """
        asked = self._asked(cursor)
        found = self._rows(asked, limit + 1, EntityQuerySet.with_document if with_documents else plain)
        return asked.page(found, limit)

    def _asked(self, cursor: str) -> _Asked:
        """The order and position of a page of the portal's list."""
        if isinstance(self.order, Order):
            raise TypeError("The portal's list has an order of PORTAL_ORDERS")
        keyset = self.order.keyset if self.order else _BY_UID
        name = _order_name(self.order)
        if not cursor:
            return _Asked(keyset, name)
        return _Asked(keyset, name, *_position(decode_cursor(cursor), name, keyset))

    def _rows(self, asked: _Asked, limit: int, dressed: Dressed) -> list[Entity]:
        """Rows from a position on, in the direction of the page."""
        rows = self.entities()
        if asked.position is not None:
            rows = rows.filter(asked.keyset.beyond(asked.position, backwards=asked.backwards))
        return self._read(dressed(rows).order_by(*asked.keyset.order_by(backwards=asked.backwards))[:limit])

    def _read(self, rows: EntityQuerySet) -> list[Entity]:
        if self.frame is NOW:
            return list(rows)
        try:
            statement = self.frame.around(Sql(*rows.query.sql_with_params()))
        except EmptyResultSet:
            return []
        shadowed = Entity.objects.unrestricted("the statement was scoped before its tables were shadowed")
        return list(shadowed.raw(statement.text, statement.values))

    def document_page(
        self, limit: int, *, offset: int = 0, cursor: StockCursor | None = None, with_total: bool = True
    ) -> DocumentPage:
        """A page of by-query. With a cursor its question and total count, and this query has to be made of it.

        Raises:
            InputError: ``cursor.malformed``: the position is none in this order.
        """
        order = self._stock_order()
        if limit == 0:
            return DocumentPage([], self._total(cursor, with_total))
        listing = self._listing(order)
        backwards = cursor is not None and cursor.backwards
        position = cursor.values if cursor else None
        rows = listing.read(limit=limit + 1, offset=offset, position=position, backwards=backwards)
        counted = listing.counts and cursor is None and bool(rows)
        total = rows[0].total if counted and with_total else self._total(cursor, with_total)
        more = len(rows) > limit
        rows = (rows[-limit:] if backwards else rows[:limit]) if more else rows
        if not rows:
            return DocumentPage([], total)
        first = cursor.first if cursor else rows[0].position

        def beside(row: Row, back: bool) -> str:
            return StockCursor(row.position, first, self.where, order, self.text, back, total).encode()

        has_previous = cursor is not None and rows[0].position != first and (more or not backwards)
        return DocumentPage(
            [row.text for row in rows],
            total,
            beside(rows[-1], False) if backwards or more else "",
            beside(rows[0], True) if has_previous else "",
        )

    def _total(self, cursor: StockCursor | None, with_total: bool) -> int:
        return cursor.total if cursor else self.count() if with_total else 0

    def keys(self) -> array[int]:
        """Keys of all entities in an order of the portal, 8 bytes each."""
        keyset = self.order.keyset if isinstance(self.order, PortalOrder) else _BY_UID
        rows = self.entities().order_by(*keyset.order_by()).values_list("pk", flat=True)
        return array("q", rows.iterator(chunk_size=10_000))

    def names_kind(self, kind: str) -> bool:
        """Whether the question asks for a kind by its name."""
        return any(
            isinstance(part, Among) and part.key == "kind" and kind in part.values
            for part in leaves(self.condition)
        )

    def numbers(self) -> list[int]:
        """Keys of all entities in the order of the list, for ``texts``."""
        return self._listing(self._stock_order()).numbers()

    def numbers_by_all(
        self, orders: Sequence[Order], *, limit: int | None, offset: int
    ) -> tuple[list[int], bool]:
        """Keys of a part of the plain list, and whether there are more."""
        dictionary = self._learned([self.condition], [order.key for order in orders])
        most = None if limit is None else limit + 1
        found = numbers_by_all(orders, self._seen(self.condition), dictionary, limit=most, offset=offset)
        return (found, False) if limit is None else (found[:limit], len(found) > limit)

    def texts(self, numbers: Sequence[int]) -> list[str]:
        """Documents of entities that this query listed, in order."""
        return texts_of(numbers)

    def documents_by_ref(self, refs: Iterable[str]) -> dict[str, bytes]:
        """Documents of these canonical references, as far as they fit; other writings of a reference are nobody's."""
        version = self.remembered_under
        about = f"document {self.scope.key!r} {self.condition!r}"  # a text, as its hash is taken only once
        keys: dict[str, Hashable] = {ref: (about, ref) for ref in refs if is_storable(ref)}
        known = memory.get_many(version, keys.values())
        documents = {ref: known[key] for ref, key in keys.items() if key in known}
        if len(documents) == len(keys):
            return documents
        self._learned([self.condition])
        missing = [ref for ref in keys if ref not in documents]
        read = {ref: text.encode() for ref, text in texts_by_ref(missing, self._seen(self.condition)).items()}
        memory.put_many(version, [(keys[ref], document, len(document)) for ref, document in read.items()])
        return documents | read

    # --- inside

    def _condition(self, include: Mapping[str, Sequence[str]]) -> Condition:
        parts = [self.where, selection(include, self.exclude)]
        if self.text is not None:
            order_field = self.order.key if isinstance(self.order, Order) else ""
            parts.append(text_condition(self.text.term, self.text.fields, order_field=order_field))
        return all_of(*parts)

    def _learned(self, conditions: Iterable[Condition], keys: Iterable[str] = ()) -> Dictionary:
        """The dictionary, which knows what is compared, sorted by and counted."""
        if self._dictionary is None:
            self._dictionary = Dictionary(lambda: self.version, self.scope)
        self._dictionary.learn(conditions, keys)
        return self._dictionary

    def share(self, dictionary: Dictionary) -> None:
        """Use the dictionary of another question."""
        self._dictionary = dictionary

    def _seen(self, condition: Condition) -> Sql:
        """What the viewer may see of what fits, as an expression over ``e``."""
        matching = compile_condition(condition, self._learned([condition]))
        if self.frame.narrower is not TRUE:
            matching = concat("(", matching, " AND ", self.frame.narrower, ")")
        visible = self.scope.sql
        if matching is TRUE or visible is FALSE:
            return visible
        return matching if visible is TRUE or matching is FALSE else join("AND", (visible, matching))

    def _listing(self, order: Order | None) -> Listing:
        dictionary = self._learned([self.condition], [order.key.lower()] if order else ())
        seen = self._seen(self.condition)
        few = names_relation(self.condition) or (names_letters(self.condition) and is_rare(seen))
        return listing_by(order, seen, dictionary, few=few)

    def _stock_order(self) -> Order | None:
        if isinstance(self.order, PortalOrder):
            raise TypeError("Documents are listed in an order of stock")
        return self.order

    def _facets(
        self, groups: Mapping[Condition, Iterable[str]]
    ) -> dict[Condition, dict[str, list[FacetCount]]]:
        """Counts by condition and key. What is not remembered is counted together."""
        scope = self.scope.key
        found: dict[Condition, dict[str, list[FacetCount]]] = {}
        missing: dict[Condition, tuple[str, ...]] = {}
        for condition, names in groups.items():
            version = self._version_for(condition)
            known = {name: memory.get(version, ("facet", scope, condition, name)) for name in names}
            found[condition] = {name: counts for name, counts in known.items() if counts is not None}
            if absent := tuple(name for name, counts in known.items() if counts is None):
                missing[condition] = absent
        if not missing:
            return found
        keys = [
            name
            for names in missing.values()
            for name in names
            if name not in COLUMNS and name not in DERIVED
        ]
        dictionary = self._learned(missing, keys)
        counting = [FacetGroup(self._seen(condition), names) for condition, names in missing.items()]
        for condition, counted in zip(missing, count_values(counting, dictionary, self.frame), strict=True):
            found[condition].update(counted)
            version = self._version_for(condition)
            for name, counts in counted.items():
                size = sum(120 + len(item.value) for item in counts)
                memory.put(version, ("facet", scope, condition, name), counts, size)
        return found

    def _recall(self, key: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        return memory.recall(self.remembered_under, (self.scope.key, key), make, size)


def _judged(counts: Iterable[FacetCount]) -> list[FacetCount]:
    """Groups as the portal's filter has them: fresh and stale. One statement."""
    found = judged(read_group(item.value, item.count) for item in counts)
    return [FacetCount(word, count) for word, count in sorted(found.items())]


_BY_UID = Keyset((SortKey("uid"),))


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which page of the portal's list is wanted."""

    keyset: Keyset
    name: str
    position: list[object] | None = None
    backwards: bool = False

    def page(self, found: list[Entity], limit: int) -> Page:
        """The page of what was read, one row more than it has where there are more."""
        more, found = len(found) > limit, found[:limit]
        if self.backwards:
            found.reverse()
        has_next = bool(found) and (self.backwards or more)
        has_previous = bool(found) and (more if self.backwards else self.position is not None)
        return Page(
            found,
            self._beside(found[-1], False) if has_next else "",
            self._beside(found[0], True) if has_previous else "",
        )

    def _beside(self, entity: Entity, back: bool) -> str:
        at = [keyset_text(getattr(entity, key.name)) for key in self.keyset.keys]
        return encode_cursor({"order": self.name, "at": at, "back": back})


def _order_name(order: Order | PortalOrder | None) -> str:
    match order:
        case None:
            return ""
        case Order(key, descending):
            return f"{'-' if descending else '+'}{key.lower()}"
        case PortalOrder(name, descending):
            return f"{'-' if descending else ''}{name}"


def keyset_text(value: object) -> object:
    """A sort value as a cursor carries it."""
    return value.isoformat() if isinstance(value, dt.datetime) else value if value is None else str(value)


def _position(body: object, name: str, keyset: Keyset) -> tuple[list[object], bool]:
    """Sort values and direction of a portal cursor.

    Raises:
        InputError: ``cursor.malformed``, also for a cursor of another order.
    """
    if not isinstance(body, dict) or body.get("order") != name or not isinstance(body.get("back"), bool):
        raise malformed_cursor()
    values = body.get("at")
    if not isinstance(values, list) or len(values) != len(keyset.keys):
        raise malformed_cursor()
    found: list[object] = []
    for key, value in zip(keyset.keys, values, strict=True):
        if value is not None and not (isinstance(value, str) and is_storable(value)):
            raise malformed_cursor()
        try:
            field = cast("Field[Any, Any]", Entity._meta.get_field(key.name))
            found.append(field.to_python(value))
        except ValidationError:
            raise malformed_cursor() from None
    return found, body["back"]
