"""``GET /api/catalog/v1/entities``: any list of the portal, a page at a time, or whole as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from catalog.presenters.listing import BY_WORD, FACETS, SORTS, Asked
from catalog.query import EntityQuery, Page, PastQuery, documents_at, parse_fields, parse_filters
from catalog.query.past import UNKNOWN_THEN
from catalog.selectors import moment
from catalog.services.exports import FORMATS, export_entities
from portal.access.api.parameters import Parameters
from portal.access.api.renderers import CONTENT_TYPE
from portal.access.api.views import OwnView
from portal.access.viewer import Viewer
from portal.core.errors import InputError

WORDS = tuple(facet.word for facet in FACETS)
KNOWN = ("filter", *WORDS, "q", "sort", "at", "format", "fields", "limit", "cursor")
DEFAULT_LIMIT, MOST = 100, 1_000


class EntitiesView(OwnView):
    """``/entities``"""

    @extend_schema(
        operation_id="catalog_entities",
        parameters=[
            OpenApiParameter("filter", str, many=True, description="As on stock's paths."),
            *(
                OpenApiParameter(
                    word, str, many=True, description="As in the portal; `-value` leaves it out."
                )
                for word in WORDS
            ),
            OpenApiParameter("q", str, description="Words in names, titles, descriptions, tags."),
            OpenApiParameter("sort", str, enum=[*SORTS, *(f"-{word}" for word in SORTS)]),
            OpenApiParameter("at", str, description="A moment: the list as it was then; pages of JSON only."),
            OpenApiParameter("format", str, enum=["json", "csv", "ndjson", "yaml"]),
            OpenApiParameter("fields", str, many=True, description="Paths to keep; columns of a CSV."),
            OpenApiParameter("limit", int, description="Of a page of JSON; 100, at most 1000."),
            OpenApiParameter("cursor", str, description="Of a page of JSON: `pageInfo.nextCursor`."),
        ],
        responses={
            (200, "application/json"): {
                "type": "object",
                "required": ["items", "totalItems", "pageInfo"],
                "properties": {
                    "items": {"type": "array", "items": {"type": "object"}},
                    "totalItems": {"type": "integer"},
                    "pageInfo": {
                        "type": "object",
                        "properties": {"nextCursor": {"type": "string"}, "prevCursor": {"type": "string"}},
                    },
                },
            },
            (200, "text/csv"): {"type": "string"},
            (200, "application/x-ndjson"): {"type": "string"},
            (200, "application/yaml"): {"type": "string"},
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        given = self.parameters(*KNOWN)
        format = given.one("format") or "json"
        asked = _asked(given)
        projection = parse_fields(given.many("fields"))
        paths = projection.paths if projection else ()
        if format == "json":
            limit = min(given.number("limit", least=1) or DEFAULT_LIMIT, MOST)
            at, cursor = moment(given.one("at") or ""), given.one("cursor") or ""
            if at is not None:
                return _past_page(PastQuery(self.viewer, at, **asked), paths, limit, cursor, _unknown(given))
            return _page(EntityQuery(self.viewer, **asked), paths, limit, cursor)
        query = EntityQuery(self.viewer, **asked)
        for name in ("limit", "cursor", "at"):
            if given.one(name) is not None:
                raise InputError(
                    f"{name} is for pages of JSON; {format} is the whole list of now.",
                    code="api.parameter.unfit",
                )
        question = request.META.get("QUERY_STRING", "")
        return exported(request._request, self.viewer, query, format=format, fields=paths, question=question)


def exported(
    request: HttpRequest,
    viewer: Viewer,
    query: EntityQuery,
    *,
    format: str,
    fields: tuple[str, ...],
    question: str,
) -> HttpResponseBase:
    """A whole list as a file, sent while it is read."""
    count, pieces = export_entities(
        actor=viewer, query=query, format=format, fields=fields, question=question
    )
    chosen = FORMATS[format]
    # Behind ASGI Django would first collect what is no asynchronous iterator.
    content = _asynchronous(pieces) if hasattr(request, "scope") else pieces
    response = StreamingHttpResponse(content, content_type=chosen.content_type)
    response["Content-Disposition"] = f'attachment; filename="entities.{chosen.ending}"'
    response["X-Total-Count"] = str(count)
    return response


async def _asynchronous(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await sync_to_async(_following)(pieces)) is not None:
        yield piece


def _following(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


def _asked(given: Parameters) -> dict[str, Any]:
    """The question as arguments of a query, checked: what the portal's page leaves out is an error here."""
    sort = given.one("sort") or "name"
    if sort.removeprefix("-") not in SORTS:
        raise InputError(
            f"{sort[:40]!r} is no order.", code="api.parameter.choice", remedy=f"Use {', '.join(SORTS)}."
        )
    words = {word: given.many(word) for word in WORDS}
    asked = Asked.of("", {**words, "q": [given.one("q") or ""], "sort": [sort]})
    return {
        "where": parse_filters(given.many("filter")),
        "include": asked.query_include(),
        "exclude": asked.query_exclude(),
        "text": asked.text or None,
        "order": asked.query_order,
    }


def _unknown(given: Parameters) -> list[str]:
    """Words of the question that nobody knows of the past."""
    return [word for word in WORDS if BY_WORD[word].key in UNKNOWN_THEN and given.many(word)]


def _past_page(
    query: PastQuery, paths: tuple[str, ...], limit: int, cursor: str, unknown: list[str]
) -> HttpResponse:
    if unknown:
        raise InputError(
            f"What {unknown[0]} was is not kept.",
            code="api.parameter.unfit",
            remedy=f"Leave out {' and '.join(unknown)}, or at.",
        )
    projection = parse_fields(paths)
    page = query.page(limit, cursor=cursor)
    texts = [orjson.dumps(document).decode() for document in documents_at(page.entities, query.at)]
    return _answer(texts if projection is None else [projection.text(t) for t in texts], page, query.count())


def _page(query: EntityQuery, paths: tuple[str, ...], limit: int, cursor: str) -> HttpResponse:
    projection = parse_fields(paths)
    page = query.page(limit, cursor=cursor, with_documents=True)
    texts = [entity.document.text for entity in page.entities]
    if projection is not None:
        texts = [projection.text(text) for text in texts]
    return _answer(texts, page, query.count())


def _answer(texts: list[str], page: Page, total: int) -> HttpResponse:
    beside = {"nextCursor": page.next_cursor, "prevCursor": page.previous_cursor}
    info = orjson.dumps({name: value for name, value in beside.items() if value}).decode()
    body = f'{{"items":[{",".join(texts)}],"totalItems":{total},"pageInfo":{info}}}'
    return HttpResponse(body.encode(), content_type=CONTENT_TYPE)
