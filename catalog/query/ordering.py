"""Orders in which entities are listed, and the position of a row in each."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Max, Min, OuterRef, QuerySet, Subquery
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.utils.dateparse import parse_datetime

from catalog.models import Entity
from catalog.models.attribute import NO_VALUE
from catalog.query.compile import NARROWED, attributes, comparable, relations, relations_of_type
from catalog.query.dictionary import ENTITY_COLUMNS, RELATION, UID, Dictionary, is_indexed
from catalog.querysets import EntityQuerySet
from portal.core.errors import InputError
from portal.core.paging import Keyset, SortKey, malformed_cursor

#: Words by which the portal sorts, the column of each, and whether it may be empty.
PORTAL_ORDERS: Mapping[str, tuple[str, bool]] = {
    "label": ("label", False),
    "name": ("name", False),
    "kind": ("kind", False),
    "namespace": ("namespace", False),
    "type": ("type", True),
    "lifecycle": ("lifecycle", True),
    "owner": ("owner_ref", True),
    "system": ("system_ref", True),
    "changed_at": ("changed_at", False),
    "created_at": ("created_at", False),
}


@dataclass(frozen=True, slots=True)
class Order:
    """By a key of the document as stock does: by its lower-cased value, then by uid in the same direction.

    Entities without a value are left out; one with several values is listed once for each.
    """

    key: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class PortalOrder:
    """By one of ``PORTAL_ORDERS``; empty ones last in both directions, equal ones by reference. Nothing is left out."""

    name: str
    descending: bool = False


def parse_order_field(text: str) -> Order:
    """Read ``field``, ``field,asc`` or ``field,desc`` of by-query.

    Raises:
        InputError: ``catalog.order.direction``, ``catalog.order.field``.
    """
    key, comma, direction = text.partition(",")
    return order_of(key, direction.strip() if comma else "asc")


def parse_order(text: str) -> Order:
    """Read ``asc:field`` or ``desc:field`` of the plain list; the field is compared as written.

    Raises:
        InputError: as ``parse_order_field``.
    """
    direction, colon, key = text.partition(":")
    if not colon:
        raise InputError(
            f"Invalid order parameter {text!r}.",
            code="catalog.order.direction",
            remedy="Write asc:field or desc:field.",
        )
    return order_of(key, direction.strip())


def order_of(key: str, direction: str) -> Order:
    """An order of a field and a direction, both checked."""
    if direction not in ("asc", "desc"):
        raise InputError(
            f"{direction!r} is no direction to sort in.",
            code="catalog.order.direction",
            remedy="Use asc or desc.",
        )
    if not key.strip():
        raise InputError(
            "The order names no field.",
            code="catalog.order.field",
            remedy="Name a field such as metadata.name.",
        )
    return Order(key.strip(), direction == "desc")


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows in an order: what to select, by what to sort and where a page may begin.

    Attributes:
        rows: has a column for each key of the order.
        keyset: the order; its last key is unique among the rows.
        id_name: the column that holds the key of the entity.
    """

    rows: QuerySet[Any]
    keyset: Keyset
    id_name: str = "pk"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.id_name, *(key.name for key in self.keyset.keys))

    def position(self, values: Sequence[Any]) -> list[Any]:
        """Values of a cursor as the database compares them.

        Raises:
            InputError: they are no position in this order.
        """
        if not isinstance(values, list) or len(values) != len(self.keyset.keys):
            raise malformed_cursor()
        return [_from_text(key.name, value) for key, value in zip(self.keyset.keys, values, strict=True)]


def position_values(values: Sequence[Any]) -> list[Any]:
    """Sort values of a row as a cursor carries them: texts, numbers and null."""
    return [_to_text(value) for value in values]


def _to_text(value: Any) -> Any:
    if isinstance(value, uuid.UUID):
        return str(value)
    return value.isoformat() if isinstance(value, dt.datetime) else value


def _from_text(name: str, value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value:
        raise malformed_cursor()
    try:
        if name in ("uid", "entity_uid", "entity__uid"):
            return uuid.UUID(value)
        if name in ("changed_at", "created_at"):
            moment = parse_datetime(value)
            if moment is None or moment.tzinfo is None:
                raise malformed_cursor()
            return moment
    except ValueError:
        raise malformed_cursor() from None
    return value


def list_by(entities: EntityQuerySet, order: Order | PortalOrder | None, dictionary: Dictionary) -> Listing:
    """``entities`` in ``order``; without one by uid, which is random but stays."""
    if order is None:
        return Listing(entities, Keyset((SortKey("uid"),)))
    if isinstance(order, PortalOrder):
        column, nullable = PORTAL_ORDERS[order.name]
        return Listing(entities, Keyset((SortKey(column, order.descending, nullable), SortKey("ref"))))
    return _list_by_key(entities, order, dictionary)


def _list_by_key(entities: EntityQuerySet, order: Order, dictionary: Dictionary) -> Listing:
    key, descending = order.key.lower(), order.descending
    if key == UID:
        return Listing(entities, Keyset((SortKey("uid", descending),)))
    by_uid = SortKey("uid", descending)
    if key in ENTITY_COLUMNS:
        return Listing(entities, Keyset((SortKey(ENTITY_COLUMNS[key], descending), by_uid)))
    if key.startswith(RELATION):
        return _list_by_relation(entities, key.removeprefix(RELATION), descending)
    number = dictionary.key(key)
    if number is None:
        return Listing(entities.none(), Keyset((by_uid,)))
    # From the values to the entities, because an entity with several values is listed once for each.
    rows = attributes().filter(key=number, value__gt=NO_VALUE, entity__in=entities.values("pk"))
    keys = (SortKey("value__lower", descending), SortKey("entity__uid", descending))
    return Listing(rows, Keyset(keys), "entity_id")


def _list_by_relation(entities: EntityQuerySet, kind: str, descending: bool) -> Listing:
    source = Entity.objects.unrestricted(NARROWED).filter(ref=OuterRef("source_ref"))
    rows = (
        comparable(relations())
        .filter(Exact(Lower(F("type")), kind), source_ref__in=entities.values("ref"))
        .annotate(entity_id=Subquery(source.values("pk")[:1]), entity_uid=Subquery(source.values("uid")[:1]))
        .distinct()
    )
    return Listing(
        rows, Keyset((SortKey("target_ref", descending), SortKey("entity_uid", descending))), "entity_id"
    )


def list_by_all(entities: EntityQuerySet, orders: Sequence[Order], dictionary: Dictionary) -> Listing:
    """``entities`` by several keys; those without a value come last in each, equal ones by uid.

    Keys are compared as written, so one with upper-case letters is a key that nobody has. An entity is listed once:
    by its smallest value, or its largest when descending. Without orders: by reference.
    """
    if not orders:
        return Listing(entities, Keyset((SortKey("ref"),)))
    keys: list[SortKey] = []
    for i, order in enumerate(orders):
        name = f"sort_{i}"
        value = _single_value(order, dictionary)
        if value is not None:
            entities = entities.annotate(**{name: value})
            keys.append(SortKey(name, order.descending, nullable=True))
    return Listing(entities, Keyset((*keys, SortKey("uid"))))


def _single_value(order: Order, dictionary: Dictionary) -> Any | None:
    key = order.key
    extreme = Max if order.descending else Min
    if key in ENTITY_COLUMNS:
        return F(ENTITY_COLUMNS[key])
    if key == UID:
        return F("uid")
    if key.startswith(RELATION):
        targets = comparable(relations_of_type(key.removeprefix(RELATION))).values("source_ref")
        return Subquery(targets.annotate(best=extreme("target_ref")).values("best"))
    number = dictionary.key(key) if key == key.lower() and is_indexed(key) else None
    if number is None:
        return None
    values = attributes().filter(entity=OuterRef("pk"), key=number, value__gt=NO_VALUE).values("entity")
    return Subquery(values.annotate(best=extreme("value__lower")).values("best"))
