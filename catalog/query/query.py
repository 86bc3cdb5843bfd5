"""One question about entities: filters and access in one, behind every list, page, count and facet."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from catalog.models import Entity
from catalog.query.compile import EVERY, compile_condition
from catalog.query.conditions import COLUMNS, EVERYTHING, Condition, Valued, all_of, selection
from catalog.query.cursor import StockCursor, TextFilter
from catalog.query.dictionary import Dictionary, is_storable
from catalog.query.documents import TOGETHER, iterate_texts, texts_of
from catalog.query.facets import FacetCount, FacetGroup, count_values
from catalog.query.fulltext import text_condition
from catalog.query.memory import entities_version, memory, scope_of
from catalog.query.ordering import (
    PORTAL_ORDERS,
    Listing,
    Order,
    PortalOrder,
    list_by,
    list_by_all,
    position_values,
)
from catalog.querysets import EntityQuerySet
from portal.access.viewer import VIEW, Viewer
from portal.core.paging import decode_cursor, encode_cursor, malformed_cursor

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


@dataclass(frozen=True, slots=True)
class _Slice:
    """Keys of entities and the sort values of each, in the order of the list."""

    rows: list[tuple[Any, ...]]
    more: bool


#: Where the portal's search box looks.
TEXT_FIELDS = ("metadata.name", "metadata.title", "metadata.description", "metadata.tags")
NO_FILTERS: Mapping[str, Sequence[str]] = {}
_UNREAD = -1


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
            ``owner``, ``system``, ``source``), for which the empty text means "has none".
        exclude: the same; no name may have any of its values.
        text: a term for the portal's fields, or a term with its own fields; substring, any case.
        order: a word of ``PORTAL_ORDERS`` (``label``, ``owner``, ``changed_at`` and so on; ``-`` in front turns it
            round), with empty values last; or an ``Order`` as stock sorts; or None, by uid.
        version: number of the last publication, where the caller has read it already.
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
        version: int | None = _UNREAD,
    ) -> None:
        self.viewer = viewer
        self.where = where
        self.include = include
        self.exclude = exclude
        self.text = TextFilter(text, TEXT_FIELDS) if isinstance(text, str) else text
        self.order = portal_order(order) if isinstance(order, str) else order
        self.action = action
        self._version = version
        self._dictionary: Dictionary | None = None
        self.condition = self._condition(include)

    # --- the question

    @property
    def version(self) -> int | None:
        """Under which answers are remembered; None inside a transaction."""
        if self._version == _UNREAD:
            self._version = entities_version()
        return self._version

    def entities(self) -> EntityQuerySet:
        """The entities as a queryset, in no order."""
        return self._narrowed(self.condition)

    def count(self) -> int:
        """How many entities there are, each once. Those that the order leaves out do not count."""
        condition = self.condition
        if isinstance(self.order, Order):
            condition = all_of(condition, Valued(self.order.key.lower()))
        return self._recall(("count", condition), lambda: self._narrowed(condition).count(), lambda _: 8)

    def facets(self, keys: Iterable[str], *, apart: bool = False) -> dict[str, list[FacetCount]]:
        """Values of each key, as written, with the number of entities that have them; sorted by value.

        Args:
            keys: keys of the document in any case, or words of ``COLUMNS``. The answer has them as given.
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
        return {name: counted[name] for name in given}

    # --- lists

    def page(self, limit: int, *, cursor: str = "", with_documents: bool = False) -> Page:
        """Rows of the portal's list.

        Args:
            limit: rows at most, 1 or more.
            cursor: of the page beside it; it holds a position, not the question.

        Raises:
            InputError: ``cursor.malformed``; also for a cursor of another order.
        """
        listing = self._listing()
        name = _order_name(self.order)
        values, backwards = None, False
        if cursor:
            body = decode_cursor(cursor)
            if (
                not isinstance(body, dict)
                or body.get("order") != name
                or not isinstance(body.get("back"), bool)
            ):
                raise malformed_cursor()
            values, backwards = listing.position(body.get("at")), body["back"]
        found = _read(listing, limit, values=values, backwards=backwards)

        def beside(row: tuple[Any, ...], back: bool) -> str:
            return encode_cursor({"order": name, "at": position_values(row[1:]), "back": back})

        has_next = bool(found.rows) and (backwards or found.more)
        has_previous = bool(found.rows) and (found.more if backwards else values is not None)
        numbers = [row[0] for row in found.rows]
        rows = Entity.objects.visible_to(self.viewer, self.action).filter(pk__in=numbers)
        by_number = (rows.with_document() if with_documents else rows).in_bulk(numbers) if numbers else {}
        return Page(
            [by_number[number] for number in numbers if number in by_number],
            beside(found.rows[-1], False) if has_next else "",
            beside(found.rows[0], True) if has_previous else "",
        )

    def document_page(
        self, limit: int, *, offset: int = 0, cursor: StockCursor | None = None, with_total: bool = True
    ) -> DocumentPage:
        """A page of by-query. With a cursor its question and total count, and this query has to be made of it."""
        listing = self._listing()
        total = cursor.total if cursor else self.count() if with_total else 0
        if limit == 0:
            return DocumentPage([], total)
        if cursor is None:
            found = _read(listing, limit, offset=offset)
        else:
            found = _read(
                listing, limit, values=listing.position(list(cursor.values)), backwards=cursor.backwards
            )
        if not found.rows:
            return DocumentPage([], total)
        backwards = cursor is not None and cursor.backwards
        newest = tuple(position_values(found.rows[0][1:]))
        first = cursor.first if cursor else newest

        def beside(row: tuple[Any, ...], back: bool) -> str:
            order = self.order if isinstance(self.order, Order) else None
            values = tuple(position_values(row[1:]))
            return StockCursor(values, first, self.where, order, self.text, back, total).encode()

        has_previous = cursor is not None and newest != first and (found.more or not backwards)
        return DocumentPage(
            self._texts([row[0] for row in found.rows]),
            total,
            beside(found.rows[-1], False) if backwards or found.more else "",
            beside(found.rows[0], True) if has_previous else "",
        )

    def numbers(self) -> list[int]:
        """Keys of all entities in the order of the list."""
        listing = self._listing()
        rows = listing.rows.order_by(*listing.keyset.order_by())
        if (
            len(listing.columns) > 2 and listing.id_name != "pk"
        ):  # distinct rows have to show what they are sorted by
            return [row[0] for row in rows.values_list(*listing.columns)]
        return list(rows.values_list(listing.id_name, flat=True))

    def documents(self) -> Iterator[str]:
        """Document texts of all entities in the order of the list, some thousand at a time."""
        return iterate_texts(self.numbers())

    def numbers_by_all(
        self, orders: Sequence[Order], *, limit: int | None, offset: int
    ) -> tuple[list[int], bool]:
        """Keys of a part of the plain list, and whether there are more."""
        self._learn((), [order.key for order in orders])
        listing = list_by_all(self.entities(), orders, self._known())
        rows = listing.rows.order_by(*listing.keyset.order_by()).values_list("pk", flat=True)
        found = list(rows[offset:] if limit is None else rows[offset : offset + limit + 1])
        return (found, False) if limit is None else (found[:limit], len(found) > limit)

    def texts_by_ref(self, refs: Iterable[str]) -> dict[str, str]:
        """Documents of these canonical references, as far as they fit; other writings of a reference are nobody's."""
        wanted = list({ref for ref in refs if is_storable(ref)})
        texts: dict[str, str] = {}
        for start in range(0, len(wanted), TOGETHER):
            rows = self.entities().filter(ref__in=wanted[start : start + TOGETHER])
            texts.update(rows.values_list("ref", "document__text"))
        return texts

    def texts(self, numbers: Sequence[int]) -> list[str]:
        """Documents of entities that this query listed, in order."""
        return self._texts(numbers)

    # --- inside

    def _condition(self, include: Mapping[str, Sequence[str]]) -> Condition:
        parts = [self.where, selection(include, self.exclude)]
        if self.text is not None:
            order_field = self.order.key if isinstance(self.order, Order) else ""
            parts.append(text_condition(self.text.term, self.text.fields, order_field=order_field))
        return all_of(*parts)

    def _known(self) -> Dictionary:
        if self._dictionary is None:
            self._dictionary = Dictionary(self.version)
        return self._dictionary

    def _learn(self, conditions: Iterable[Condition], keys: Iterable[str] = ()) -> None:
        self._known().learn(conditions, keys)

    def _narrowed(self, condition: Condition) -> EntityQuerySet:
        self._learn([condition])
        matching = compile_condition(condition, self._known())
        rows = Entity.objects.visible_to(self.viewer, self.action)
        return rows if matching is EVERY else rows.filter(matching)

    def _listing(self) -> Listing:
        if isinstance(self.order, Order):
            self._learn([self.condition], [self.order.key.lower()])
        return list_by(self.entities(), self.order, self._known())

    def _facets(
        self, groups: Mapping[Condition, Iterable[str]]
    ) -> dict[Condition, dict[str, list[FacetCount]]]:
        """Counts by condition and key. What is not remembered is counted together."""
        scope = scope_of(self.viewer, Entity, self.action)
        version = self.version if scope is not None else None
        found: dict[Condition, dict[str, list[FacetCount]]] = {}
        missing: dict[Condition, tuple[str, ...]] = {}
        for condition, names in groups.items():
            known = {name: memory.get(version, ("facet", scope, condition, name)) for name in names}
            found[condition] = {name: counts for name, counts in known.items() if counts is not None}
            if absent := tuple(name for name, counts in known.items() if counts is None):
                missing[condition] = absent
        if not missing:
            return found
        self._learn(missing, [name for names in missing.values() for name in names if name not in COLUMNS])
        counting = [
            FacetGroup(self._narrowed(c), names, narrowed=c != EVERYTHING or scope != ("all",))
            for c, names in missing.items()
        ]
        for condition, counted in zip(missing, count_values(counting, self._known()), strict=True):
            found[condition].update(counted)
            for name, counts in counted.items():
                size = sum(120 + len(item.value) for item in counts)
                memory.put(version, ("facet", scope, condition, name), counts, size)
        return found

    def _texts(self, numbers: Sequence[int]) -> list[str]:
        texts = texts_of(numbers)
        return [texts[number] for number in numbers if number in texts]

    def _recall(self, key: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        scope = scope_of(self.viewer, Entity, self.action)
        return memory.recall(self.version if scope is not None else None, (scope, key), make, size)


def portal_order(text: str) -> PortalOrder | None:
    """``label`` or ``-label``; the empty text is no order.

    Raises:
        KeyError: no word of ``PORTAL_ORDERS``; views check what comes from outside.
    """
    name = text.removeprefix("-")
    if not name:
        return None
    if name not in PORTAL_ORDERS:
        raise KeyError(name)
    return PortalOrder(name, text.startswith("-"))


def _order_name(order: Order | PortalOrder | None) -> str:
    match order:
        case None:
            return ""
        case Order(key, descending):
            return f"{'-' if descending else '+'}{key.lower()}"
        case PortalOrder(name, descending):
            return f"{'-' if descending else ''}{name}"


def _read(
    listing: Listing, limit: int, *, values: list[Any] | None = None, backwards: bool = False, offset: int = 0
) -> _Slice:
    """Up to ``limit`` rows after (or before) a position, and whether there are more that way."""
    rows = listing.rows
    if values is not None:
        rows = rows.filter(listing.keyset.beyond(values, backwards=backwards))
    ordered = rows.order_by(*listing.keyset.order_by(backwards=backwards)).values_list(*listing.columns)
    found = list(ordered[offset : offset + limit + 1])
    more = len(found) > limit
    found = list(dict.fromkeys(found[:limit]))  # two writings of one value have the same position
    return _Slice(found[::-1] if backwards else found, more)
