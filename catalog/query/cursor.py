"""The cursor of by-query: base64 JSON that carries the question with it (catalog API, by-query).

Stock clients look inside: where there is a ``query``, they send the next request as POST. Whoever changes a cursor can
only ask another question; what they may see is decided anew with each request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from catalog.query.conditions import EVERYTHING, Condition
from catalog.query.ordering import Order
from catalog.query.predicates import parse_predicate, to_predicate
from portal.core.errors import InputError
from portal.core.paging import decode_cursor, encode_cursor, malformed_cursor


@dataclass(frozen=True, slots=True)
class TextFilter:
    """A term and the fields in which to look for it; see ``fulltext.text_condition``."""

    term: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StockCursor:
    """The question of page one, and where the page before or after begins.

    Attributes:
        values: sort values of the row beside which the page lies.
        first: sort values of the very first row; the page that begins with it has nothing before it.
        backwards: the page ends before ``values``.
        total: of page one, so that it does not change on the way.
    """

    values: tuple[Any, ...]
    first: tuple[Any, ...]
    where: Condition = EVERYTHING
    order: Order | None = None
    text: TextFilter | None = None
    backwards: bool = False
    total: int = 0

    def encode(self) -> str:
        order = self.order
        body: dict[str, Any] = {
            "orderFields": [{"field": order.key, "order": "desc" if order.descending else "asc"}]
            if order
            else [],
            "orderFieldValues": list(self.values),
            "firstSortFieldValues": list(self.first),
            "isPrevious": self.backwards,
            "totalItems": self.total,
        }
        if self.where != EVERYTHING:
            body["query"] = to_predicate(self.where)
        if self.text is not None:
            body["fullTextFilter"] = {"term": self.text.term, "fields": list(self.text.fields)}
        return encode_cursor(body)


def decode_stock_cursor(text: str) -> StockCursor:
    """Read a cursor.

    Raises:
        InputError: ``cursor.malformed``.
    """
    body = decode_cursor(text)
    if not isinstance(body, dict):
        raise malformed_cursor()
    values, first, total = (
        body.get("orderFieldValues"),
        body.get("firstSortFieldValues"),
        body.get("totalItems", 0),
    )
    if (
        not _is_position(values)
        or not _is_position(first)
        or not isinstance(total, int)
        or isinstance(total, bool)
    ):
        raise malformed_cursor()
    if not isinstance(body.get("isPrevious"), bool):
        raise malformed_cursor()
    try:
        where = parse_predicate(body["query"]) if "query" in body else EVERYTHING
    except InputError:
        raise malformed_cursor() from None
    return StockCursor(
        values=tuple(values or ()),
        first=tuple(first or ()),
        where=where,
        order=_order(body.get("orderFields")),
        text=_text(body.get("fullTextFilter")),
        backwards=body["isPrevious"],
        total=total,
    )


def _is_position(value: Any) -> bool:
    return isinstance(value, list) and all(item is None or isinstance(item, str) for item in value)


def _order(value: Any) -> Order | None:
    if not isinstance(value, list):
        raise malformed_cursor()
    if not value:
        return None
    first = value[0]
    if (
        not isinstance(first, dict)
        or not isinstance(first.get("field"), str)
        or first.get("order") not in ("asc", "desc")
    ):
        raise malformed_cursor()
    return Order(first["field"], first["order"] == "desc")


def _text(value: Any) -> TextFilter | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("term"), str):
        raise malformed_cursor()
    fields = value.get("fields", [])
    if not isinstance(fields, list) or not all(isinstance(field, str) for field in fields):
        raise malformed_cursor()
    return TextFilter(value["term"], tuple(fields))
