"""Lists of entities: ``GET /entities``, ``/entities/by-query`` and ``/entities/by-refs``."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from catalog.api import schema
from catalog.api.stock import StockView, json_bytes, json_text
from catalog.query import (
    DocumentPage,
    EntityQuery,
    Order,
    Projection,
    StockCursor,
    TextFilter,
    decode_stock_cursor,
    parse_fields,
    parse_filters,
    parse_order,
    parse_order_field,
    parse_predicate,
)
from catalog.query.conditions import EVERYTHING, Condition, all_of
from catalog.query.memory import memory
from catalog.query.ordering import order_of
from portal.access.api.bodies import checked_body
from portal.access.api.parameters import Parameters, whole_number
from portal.access.api.renderers import CONTENT_TYPE
from portal.core.errors import InputError

DEFAULT_LIMIT = 200
#: Entities of which an answer is put together before its first byte goes out; longer lists are streamed.
WHOLE = 10_000
PIECE = 1_000
# Of many clients that ask for the same 10 MB at once one makes them, and the others take its answer. It is held while
# the database is read, never while a client is.
_one_at_a_time = Lock()


class EntitiesView(StockView):
    """``GET /entities``: a bare array; everything at once, or a page by offset."""

    @extend_schema(**schema.ENTITIES)
    def get(self, request: Request) -> HttpResponseBase:
        given = Parameters(request, ("fields", "filter", "limit", "offset", "after", "order"))
        where = parse_filters(given.many("filter"))
        projection = parse_fields(given.many("fields"))
        orders = [parse_order(text) for text in given.many("order")]
        limit, offset = given.number("limit", least=1), given.number("offset")
        after = given.one("after")
        if after is not None:
            limit, offset = _decode_after(after, limit, offset)
        if limit is None and offset is None and after is None:
            return self._everything(where, orders[0] if orders else None, projection)
        query = EntityQuery(self.viewer, where=where)
        numbers, more = query.numbers_by_all(orders, limit=limit, offset=offset or 0)
        response = json_text("[", ",".join(_projected(query.texts(numbers), projection)), "]")
        if more and limit is not None:
            response["link"] = f'<{_next_link(request, limit, (offset or 0) + limit)}>; rel="next"'
        return response

    def _everything(
        self, where: Condition, order: Order | None, projection: Projection | None
    ) -> HttpResponseBase:
        query = EntityQuery(self.viewer, where=where, order=order)
        version = query.remembered_under
        key = ("list", query.scope.key, where, order, projection)
        body = memory.get(version, key)
        if body is not None:
            return json_bytes(body)
        numbers = query.numbers()
        if len(numbers) > WHOLE:
            return StreamingHttpResponse(_array(query, numbers, projection), content_type=CONTENT_TYPE)
        with _one_at_a_time:
            body = memory.get(version, key)
            if body is None:
                body = b"".join(_array(query, numbers, projection))
                memory.put(version, key, body, len(body))
        return json_bytes(body)


class EntitiesByQueryView(StockView):
    """``/entities/by-query``: a page with a total and cursors."""

    @extend_schema(**schema.BY_QUERY_GET)
    def get(self, request: Request) -> HttpResponse:
        given = Parameters(
            request,
            (
                "fields",
                "limit",
                "offset",
                "orderField",
                "filter",
                "cursor",
                "totalItems",
                "fullTextFilterTerm",
                "fullTextFilterFields",
            ),
        )
        orders = [parse_order_field(text) for text in given.many("orderField")]
        term = given.one("fullTextFilterTerm")
        fields = tuple(name for text in given.many("fullTextFilterFields") for name in text.split(","))
        return self._answer(
            where=parse_filters(given.many("filter")),
            order=orders[0] if orders else None,
            text=None if term is None else TextFilter(term, fields),
            projection=parse_fields(given.many("fields")),
            limit=given.number("limit"),
            offset=given.number("offset"),
            with_total=_wants_total(given.one("totalItems")),
            cursor=given.one("cursor"),
        )

    @extend_schema(**schema.BY_QUERY_POST)
    def post(self, request: Request) -> HttpResponse:
        Parameters(request)
        body = checked_body(
            request,
            optional={
                "query": dict,
                "fields": list,
                "limit": int,
                "offset": int,
                "orderBy": list,
                "fullTextFilter": dict,
                "totalItems": str,
                "cursor": str,
            },
            extra=True,
        )
        if body.get("cursor") == "":
            raise InputError(
                "The cursor is empty.", code="cursor.malformed", remedy="Leave it out for the first page."
            )
        orders = [_order_by(item, i) for i, item in enumerate(body.get("orderBy", ()))]
        return self._answer(
            where=parse_predicate(body["query"]) if "query" in body else EVERYTHING,
            order=orders[0] if orders else None,
            text=_text_filter(body["fullTextFilter"]) if "fullTextFilter" in body else None,
            projection=parse_fields(texts_in(body, "fields")),
            limit=_number_in(body, "limit"),
            offset=_number_in(body, "offset"),
            with_total=_wants_total(body.get("totalItems")),
            cursor=body.get("cursor"),
        )

    def _answer(
        self,
        *,
        where: Condition,
        order: Order | None,
        text: TextFilter | None,
        projection: Projection | None,
        limit: int | None,
        offset: int | None,
        with_total: bool,
        cursor: str | None,
    ) -> HttpResponse:
        at: StockCursor | None = None
        if cursor is not None:  # the question travels in the cursor; what stands beside it is not looked at
            at = decode_stock_cursor(cursor)
            where, order, text, offset = at.where, at.order, at.text, None
        query = EntityQuery(self.viewer, where=where, order=order, text=text)
        version = query.remembered_under
        key = ("page", query.scope.key, where, order, text, projection, limit, offset, with_total, cursor)
        body = memory.get(version, key)
        if body is None:
            size = DEFAULT_LIMIT if limit is None else limit
            page = query.document_page(size, offset=offset or 0, cursor=at, with_total=with_total)
            body = _page_body(page, projection)
            memory.put(version, key, body, len(body))
        return json_bytes(body)


class EntitiesByRefsView(StockView):
    """``POST /entities/by-refs``: one answer for each reference, in order; null for what is not there."""

    @extend_schema(**schema.BY_REFS)
    def post(self, request: Request) -> HttpResponse:
        given = Parameters(request, ("filter",))
        body = checked_body(
            request, required={"entityRefs": list}, optional={"fields": list, "query": dict}, extra=True
        )
        refs = texts_in(body, "entityRefs")
        projection = parse_fields(texts_in(body, "fields"))
        where = parse_filters(given.many("filter"))
        if "query" in body:
            where = all_of(where, parse_predicate(body["query"]))
        found = EntityQuery(self.viewer, where=where).documents_by_ref(refs)
        if projection is not None:
            found = {ref: projection.text(document).encode() for ref, document in found.items()}
        return json_bytes(b'{"items":[%b]}' % b",".join([found.get(ref, b"null") for ref in refs]))


# --- pieces


def _projected(texts: list[str], projection: Projection | None) -> list[str]:
    return texts if projection is None else [projection.text(text) for text in texts]


def _page_body(page: DocumentPage, projection: Projection | None) -> bytes:
    beside = {"nextCursor": page.next_cursor, "prevCursor": page.previous_cursor}
    info = orjson.dumps({name: value for name, value in beside.items() if value}).decode()
    texts = ",".join(_projected(page.texts, projection))
    return f'{{"items":[{texts}],"totalItems":{page.total},"pageInfo":{info}}}'.encode()


def _array(query: EntityQuery, numbers: list[int], projection: Projection | None) -> Iterator[bytes]:
    """A JSON array of the documents, in pieces."""
    opening = "["
    for start in range(0, len(numbers), PIECE):
        texts = _projected(query.texts(numbers[start : start + PIECE]), projection)
        if texts:
            yield (opening + ",".join(texts)).encode()
            opening = ","
    yield b"[]" if opening == "[" else b"]"


def _decode_after(text: str, limit: int | None, offset: int | None) -> tuple[int | None, int | None]:
    """Limit and offset of the next page, which stand in ``after``; what does not stand there comes from the address."""
    try:
        value = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
        if not isinstance(value, dict):
            raise ValueError
    except ValueError:
        raise InputError(
            "Malformed after cursor.", code="cursor.malformed", remedy="Follow the link header as it is."
        ) from None
    if "limit" in value:
        limit = whole_number(value["limit"], "limit in the cursor", least=1)
    if "offset" in value:
        offset = whole_number(value["offset"], "offset in the cursor", least=0)
    return limit, offset


def _next_link(request: Request, limit: int, offset: int) -> str:
    """The address of the next page, relative to the mount: the same parameters, but ``after`` instead of ``offset``."""
    after = base64.b64encode(orjson.dumps({"limit": limit, "offset": offset})).decode()
    given = parse_qsl(request.META.get("QUERY_STRING", ""), keep_blank_values=True)
    pairs = [(name, after if name == "after" else value) for name, value in given if name != "offset"]
    if "after" not in (name for name, _ in pairs):
        pairs.append(("after", after))
    return f"/entities?{urlencode(pairs)}"


def _wants_total(word: str | None) -> bool:
    if word not in (None, "include", "exclude"):
        raise InputError(
            f"totalItems is {word!r}.", code="api.parameter.choice", remedy="Use include or exclude."
        )
    return word != "exclude"


def texts_in(body: dict[str, Any], name: str) -> list[str]:
    """A list of texts in a body."""
    values: list[str] = body.get(name, [])
    for i, value in enumerate(values):
        if not isinstance(value, str):
            raise InputError(f"request/body/{name}/{i} must be string", code="api.body.type")
    return values


def _number_in(body: dict[str, Any], name: str) -> int | None:
    return whole_number(body[name], f"key {name!r} of the body", least=0) if name in body else None


def _order_by(item: Any, i: int) -> Order:
    place = f"request/body/orderBy/{i}"
    if not isinstance(item, dict):
        raise InputError(f"{place} must be object", code="api.body.type")
    for name in ("field", "order"):
        if not isinstance(item.get(name), str):
            raise InputError(f"{place} must have the text {name!r}", code="api.body.missing")
    return order_of(item["field"], item["order"])


def _text_filter(value: dict[str, Any]) -> TextFilter:
    term = value.get("term", "")
    fields = value.get("fields", [])
    if not isinstance(term, str):
        raise InputError("request/body/fullTextFilter/term must be string", code="api.body.type")
    if not isinstance(fields, list) or not all(isinstance(field, str) for field in fields):
        raise InputError("request/body/fullTextFilter/fields must be a list of texts", code="api.body.type")
    return TextFilter(term, tuple(fields))
