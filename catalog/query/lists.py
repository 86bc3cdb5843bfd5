"""Lists as stock orders them, as statements."""
# ruff: noqa: S608  (tables, columns and operators are our own words; what was asked travels beside the text as values)

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from catalog.models.attribute import NO_VALUE
from catalog.query.compile import COMPARABLE
from catalog.query.dictionary import ENTITY_COLUMNS, RELATION, UID, Dictionary, is_storable
from catalog.query.ordering import Order
from catalog.query.sql import (
    FALSE,
    TRUE,
    Sql,
    concat,
    fetch,
    fetch_one,
    join,
    one_of,
    parse_uid,
    uid_text,
    uid_value,
)
from portal.core.paging import malformed_cursor

#: Rows expected, of which names and titles count twice, that are found and sorted sooner than 100,000 names are read.
SORTED_SOON = 5_000


@dataclass(frozen=True, slots=True)
class Row:
    """An entity in a list: its document, where it stands, and among how many where the list counts them."""

    text: str
    position: tuple[str, ...]
    total: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows of an order: entities ``e`` and what they are sorted by.

    Attributes:
        tables: what is read; ``e`` is the entity.
        value: the expression that is sorted by before the uid, or None for the uid alone.
        condition: which rows there are at all.
        gathered: every row is found before any is sorted. For orders that no index has: told that few rows are wanted,
            PostgreSQL would walk through all values of the whole catalog instead.
        doubled: the tables may have a row several times; it is listed once.
    """

    tables: Sql
    value: str | None
    condition: Sql
    descending: bool = False
    gathered: bool = False
    doubled: bool = False

    @property
    def columns(self) -> list[str]:
        return [self.value, "e.uid"] if self.value else ["e.uid"]

    @property
    def counts(self) -> bool:
        """Whether its rows know how many there are: where all are found anyway, and each is another entity."""
        return self.gathered and not self.doubled

    def read(
        self, *, limit: int, offset: int = 0, position: Sequence[Any] | None = None, backwards: bool = False
    ) -> list[Row]:
        """Rows after a position, or those before it when going backwards; always in the order of the list."""
        descending = self.descending != backwards
        parts = [self.condition]
        if position is not None:
            parts.append(self._beyond(position, "<" if descending else ">"))
        names = ("value", "uid")[-len(self.columns) :]
        # Documents are wide: only those of the page are joined to it.
        page = concat(
            self._rows(names, join("AND", parts)),
            f" ORDER BY {_directed(names, descending)} LIMIT {limit:d}",
            f" OFFSET {offset:d}" if offset else "",
        )
        outer = [f"p.{name}" for name in names]
        statement = concat(
            f"SELECT d.text, p.total, {', '.join(outer)} FROM (",
            page,
            f") p JOIN catalog_entitydocument d ON d.entity_id = p.id ORDER BY {_directed(outer, descending)}",
        )
        found = fetch(statement)
        rows = [Row(text, (*values, uid_text(uid)), total) for text, total, *values, uid in found]
        return rows[::-1] if backwards else rows

    def numbers(self) -> list[int]:
        """Keys of all rows in order."""
        names = ("value", "uid")[-len(self.columns) :]
        rows = self._rows(names, self.condition)
        return [row[0] for row in fetch(concat(rows, f" ORDER BY {_directed(names, self.descending)}"))]

    def _rows(self, names: Sequence[str], condition: Sql) -> Sql:
        selected = ", ".join(f"{column} AS {name}" for column, name in zip(self.columns, names, strict=True))
        plain = concat(
            f"SELECT {'DISTINCT ' if self.doubled else ''}e.id, 0 AS total, {selected} FROM ",
            self.tables,
            " WHERE ",
            condition,
        )
        if not self.gathered:
            return plain
        total = "(SELECT COUNT(*) FROM q)" if self.counts else "0"
        chosen = f") SELECT id, {total} AS total, {', '.join(names)} FROM q"
        return concat("WITH q AS MATERIALIZED (", plain, chosen)

    def _beyond(self, position: Sequence[Any], side: str) -> Sql:
        if len(position) != len(self.columns) or not all(isinstance(value, str) for value in position):
            raise malformed_cursor()
        uid = parse_uid(position[-1])
        if uid is None or not all(map(is_storable, position)):
            raise malformed_cursor()
        values = (*position[:-1], uid_value(uid))
        if not self.value:
            return Sql(f"e.uid {side} %s", values)
        # The first comparison says nothing new, but an index can begin there.
        text = f"{self.value} {side}= %s AND ({self.value}, e.uid) {side} (%s, %s)"
        return Sql(text, (values[0], *values))


def _directed(columns: Sequence[str], descending: bool) -> str:
    return ", ".join(f"{column} {'DESC' if descending else 'ASC'}" for column in columns)


def listing_by(order: Order | None, condition: Sql, dictionary: Dictionary, *, few: bool = False) -> Listing:
    """Entities that fit ``condition`` in a stock order; without one by uid, which is random but stays.

    Entities without a value are left out, one with several is listed once for each.

    Args:
        few: it leaves so few that finding all of them costs less than walking the order until a page is full.
    """
    entities = Sql("catalog_entity e")
    if order is None:
        return Listing(entities, None, condition)
    key, descending = order.key.lower(), order.descending
    if key == UID:
        return Listing(entities, None, condition, descending)
    if key in ENTITY_COLUMNS:
        return Listing(entities, f"e.{ENTITY_COLUMNS[key]}", condition, descending, gathered=few)
    if key.startswith(RELATION):
        types = dictionary.types(key.removeprefix(RELATION))
        kind = concat(one_of("r.type", types), COMPARABLE) if types else FALSE
        tables = Sql("catalog_entity e JOIN catalog_relation r ON r.source_ref = e.ref")
        # Both ends may have declared the relation.
        return Listing(tables, "r.target_ref", _and(condition, kind), descending, gathered=True, doubled=True)
    number = dictionary.key(key)
    if number is None:
        return Listing(entities, None, FALSE, descending)
    tables = Sql(
        "catalog_entity e JOIN catalog_entityattribute s ON s.entity_id = e.id "
        "JOIN catalog_attributevalue w ON w.id = s.value_id"
    )
    sorted_by = Sql(f"s.key_id = %s AND s.value_id > {NO_VALUE}", (number,))
    # Two writings of one value are one value.
    return Listing(tables, "w.lower", _and(condition, sorted_by), descending, gathered=True, doubled=True)


def is_rare(condition: Sql) -> bool:
    """Whether PostgreSQL expects few rows to fit. One statement, which reads none of them.

    Told that few rows are wanted, it walks an order until a page is full, as if those that fit were spread evenly along
    it. Names that have letters in common are not: they often begin with them.
    """
    if connection.vendor != "postgresql":
        return False
    row = fetch_one(concat("EXPLAIN SELECT 1 FROM catalog_entity e WHERE ", condition))
    expected = re.search(r"rows=(\d+)", row[0]) if row else None
    return expected is not None and int(expected[1]) <= SORTED_SOON


def _and(condition: Sql, other: Sql) -> Sql:
    return other if condition is TRUE else FALSE if condition is FALSE else join("AND", (condition, other))


def numbers_by_all(
    orders: Sequence[Order], condition: Sql, dictionary: Dictionary, *, limit: int | None, offset: int
) -> list[int]:
    """Keys of entities by several keys; those without a value come last in each, equal ones by uid.

    Keys are compared as written, so one with upper-case letters is a key that nobody has. An entity is listed once:
    by its smallest value, or its largest when descending. Without orders: by reference.
    """
    sorted_by: list[Sql] = []
    for order in orders:
        value = _single_value(order, dictionary)
        if value is not None:
            sorted_by.append(concat(value, " DESC NULLS LAST" if order.descending else " ASC NULLS LAST"))
    sorted_by.append(Sql("e.uid" if orders else "e.ref"))
    statement = concat(
        "SELECT e.id FROM catalog_entity e WHERE ",
        condition,
        " ORDER BY ",
        join(",", sorted_by),
        # SQLite knows no OFFSET without LIMIT.
        f" LIMIT {limit if limit is not None else 2**62:d} OFFSET {offset:d}",
    )
    return [row[0] for row in fetch(statement)]


def _single_value(order: Order, dictionary: Dictionary) -> Sql | None:
    key, extreme = order.key, "MAX" if order.descending else "MIN"
    if key in ENTITY_COLUMNS:
        return Sql(f"e.{ENTITY_COLUMNS[key]}")
    if key == UID:
        return Sql("e.uid")
    if key != key.lower():
        return None
    if key.startswith(RELATION):
        types = dictionary.types(key.removeprefix(RELATION))
        if not types:
            return None
        text = f"(SELECT {extreme}(r.target_ref) FROM catalog_relation r WHERE r.source_ref = e.ref AND "
        return concat(text, one_of("r.type", types), COMPARABLE, ")")
    number = dictionary.key(key)
    if number is None:
        return None
    return Sql(
        f"(SELECT {extreme}(w.lower) FROM catalog_entityattribute s JOIN catalog_attributevalue w ON w.id = s.value_id "
        f"WHERE s.entity_id = e.id AND s.key_id = %s AND s.value_id > {NO_VALUE})",
        (number,),
    )
