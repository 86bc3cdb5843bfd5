"""The change feed: as pages, and as a stream."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from portal.access.api.parameters import Parameters
from portal.access.api.renderers import json_response
from portal.access.api.schema import Error
from portal.access.api.views import OwnView
from portal.core.errors import InputError
from portal.events.api.shapes import EventPage
from portal.events.api.streams import EventStream, Listener, hub
from portal.events.cursors import NOW, open_cursor, seal_cursor
from portal.events.exceptions import StreamUnavailableError
from portal.events.filters import EventFilter
from portal.events.selectors import LARGEST_LIMIT, LIMIT, bounds, feed_page
from portal.events.services.messages import event_json

MOUNT = "/api/events/v1"
TAGS = ["events"]
ERRORS: dict[Any, Any] = {status: OpenApiResponse(Error) for status in (400, 401, 403)}
FILTERS = [
    OpenApiParameter(
        "type", str, many=True, description="A type, or its beginning and `*`; several mean any of them."
    ),
    OpenApiParameter(
        "subject",
        str,
        many=True,
        description="A subject, or its beginning and `*`; several mean any of them.",
    ),
    OpenApiParameter(
        "cursor",
        str,
        description="`nextCursor` of an earlier answer; `now` for the end. Without it: the oldest event that is kept.",
    ),
]


def _wanted(parameters: Parameters) -> EventFilter:
    return EventFilter.of(parameters.many("type"), parameters.many("subject"))


class EventsView(OwnView):
    mount: ClassVar[str] = MOUNT

    @extend_schema(
        operation_id="GetEvents",
        tags=TAGS,
        parameters=[*FILTERS, OpenApiParameter("limit", int, description="1 to 1000; 100 without.")],
        responses={200: EventPage, 410: Error, **ERRORS},
    )
    def get(self, request: Request) -> HttpResponse:
        """What happened, each change once and in commit order. `nextCursor` is always there: pass it on as it is,
        at once while `hasMore`, else after a while. A page may be empty and have more after it."""
        parameters = self.parameters("cursor", "type", "subject", "limit")
        wanted = _wanted(parameters)
        limit = parameters.number("limit", least=1) or LIMIT
        if limit > LARGEST_LIMIT:
            raise InputError(f"A page has at most {LARGEST_LIMIT} events, not {limit}.", code="events.limit")
        cursor = parameters.one("cursor")
        if cursor == NOW:
            return json_response({"items": [], "nextCursor": seal_cursor(bounds()[1]), "hasMore": False})
        page = feed_page(self.viewer, None if cursor is None else open_cursor(cursor), wanted, limit)
        items = [
            event_json(uid=row.uid, type=row.type, subject=row.subject, data=row.data, at=row.at)
            for row in page.rows
        ]
        return json_response(
            {"items": items, "nextCursor": seal_cursor(page.position), "hasMore": page.has_more}
        )


class StreamView(OwnView):
    mount: ClassVar[str] = MOUNT

    @extend_schema(
        operation_id="StreamEvents",
        tags=TAGS,
        parameters=[
            *FILTERS,
            OpenApiParameter(
                "Last-Event-ID",
                str,
                OpenApiParameter.HEADER,
                description="Sent by browsers when they come back; counts instead of `cursor`.",
            ),
        ],
        responses={
            (200, "text/event-stream"): OpenApiTypes.STR,
            410: Error,
            503: Error,
            **ERRORS,
        },
    )
    def get(self, request: Request) -> HttpResponse | StreamingHttpResponse:
        """The same as Server-Sent Events: `id` is a cursor, `event` the type, `data` the event. Without a cursor it
        begins now."""
        parameters = self.parameters("cursor", "type", "subject")
        wanted = _wanted(parameters)
        cursor = request.headers.get("Last-Event-ID") or parameters.one("cursor") or NOW
        if not isinstance(request._request, ASGIRequest):
            error = StreamUnavailableError(
                "This process serves pages and API and keeps no answer open.",
                code="events.stream.elsewhere",
                remedy=f"Let the proxy send {MOUNT}/stream to the event process (deploy/nginx/callboard.conf)."
                f" The JSON feed at {MOUNT}/events works everywhere.",
            )
            error.wait = int(timedelta(minutes=1).total_seconds())
            raise error
        newest = bounds()[1]
        position = newest if cursor == NOW else open_cursor(cursor)
        if cursor != NOW:
            feed_page(
                self.viewer, position, wanted, 1
            )  # one that is too old is refused while there is a status
        session = "" if self.viewer.token_id else (request._request.session.session_key or "")
        listener = Listener(self.viewer, session, wanted, position)
        hub.join(listener, newest)
        # The thread of this request stays until the stream ends; its connection must not.
        connection.close()
        answer = StreamingHttpResponse(EventStream(listener), content_type="text/event-stream; charset=utf-8")
        answer["Cache-Control"] = "no-store"
        answer["X-Accel-Buffering"] = "no"
        return answer
