"""The audit record below ``/api/audit/v1/``, for curators: in pages, and as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

import orjson
from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from portal.access.api.parameters import Parameters
from portal.access.api.renderers import json_response
from portal.access.api.schema import Error
from portal.access.api.views import OwnView
from portal.access.querysets import visible
from portal.access.viewer import Viewer
from portal.audit.models import AuditEvent
from portal.audit.selectors import AuditFilter, in_batches, page_before
from portal.audit.services import record
from portal.core.errors import InputError, NotAllowedError
from portal.core.paging import aware_time, decode_cursor, encode_cursor, malformed_cursor

LIMIT, LARGEST_LIMIT = 100, 1_000
ERRORS: dict[Any, Any] = {status: OpenApiResponse(Error) for status in (400, 401, 403)}
NAMES = ("actor", "verb", "objectType", "objectId", "requestId", "since", "until")
FILTERS = [
    OpenApiParameter("actor", str, description="Such as `user:maren`, exactly."),
    OpenApiParameter("verb", str, description="A verb, or its beginning and `*`: `catalog.source.*`."),
    OpenApiParameter("objectType", str, description="Such as `catalog.source`."),
    OpenApiParameter("objectId", str, description="The key of the object."),
    OpenApiParameter("requestId", str, description="All that one request did."),
    OpenApiParameter("since", OpenApiTypes.DATETIME, description="From this moment on, with a zone."),
    OpenApiParameter("until", OpenApiTypes.DATETIME, description="Before this moment, with a zone."),
]


def _moment(parameters: Parameters, name: str) -> datetime | None:
    text = parameters.one(name)
    try:
        return None if text is None else aware_time(text)
    except ValueError:
        raise InputError(
            f"Query parameter {name!r} is no time: {text!r}.",
            code="audit.time",
            remedy="Write it with its zone, such as 2026-11-25T08:00:00Z.",
        ) from None


def _rows(viewer: Viewer, parameters: Parameters) -> QuerySet[AuditEvent]:
    """Records that were asked for; raises NotAllowedError for who is no curator."""
    if not viewer.is_staff:
        raise NotAllowedError(
            "The audit record is for people with staff rights.",
            code="access.audit.denied",
            remedy="Ask a platform admin.",
        )
    wanted = AuditFilter(
        actor=parameters.one("actor"),
        verb=parameters.one("verb"),
        object_type=parameters.one("objectType"),
        object_id=parameters.one("objectId"),
        request_id=parameters.one("requestId"),
        since=_moment(parameters, "since"),
        until=_moment(parameters, "until"),
    )
    return wanted.among(visible(AuditEvent.objects.all(), viewer))


def _shape(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": event.pk,
        "at": event.at.isoformat(),
        "actor": event.actor,
        "verb": event.verb,
        "object": {"type": event.object_type, "id": event.object_id, "name": event.object_name},
        "before": event.before,
        "after": event.after,
        "note": event.note,
        "requestId": event.request_id,
        "address": event.address,
        "position": event.position,
        "digest": event.digest,
    }


class AuditEventsView(OwnView):
    mount: ClassVar[str] = "/api/audit/v1"

    @extend_schema(
        operation_id="GetAuditEvents",
        tags=["audit"],
        parameters=[
            *FILTERS,
            OpenApiParameter("cursor", str, description="`nextCursor` of the answer before."),
            OpenApiParameter("limit", int, description="1 to 1000; 100 without."),
        ],
        responses={200: OpenApiTypes.OBJECT, **ERRORS},
    )
    def get(self, request: Request) -> HttpResponse:
        """Audit records, newest first; `nextCursor` is null at the end."""
        parameters = self.parameters(*NAMES, "cursor", "limit")
        rows = _rows(self.viewer, parameters)
        limit = parameters.number("limit", least=1) or LIMIT
        if limit > LARGEST_LIMIT:
            raise InputError(f"A page has at most {LARGEST_LIMIT} records, not {limit}.", code="audit.limit")
        cursor = parameters.one("cursor")
        key = None if cursor is None else decode_cursor(cursor)
        if cursor is not None and (type(key) is not int or not 0 <= key < 2**63):
            raise malformed_cursor()
        found, following = page_before(rows, key, limit)
        return json_response(
            {
                "items": [_shape(event) for event in found],
                "nextCursor": None if following is None else encode_cursor(following),
            }
        )


class AuditExportView(OwnView):
    mount: ClassVar[str] = "/api/audit/v1"

    @extend_schema(
        operation_id="ExportAuditEvents",
        tags=["audit"],
        parameters=FILTERS,
        responses={(200, "application/x-ndjson"): OpenApiTypes.STR, **ERRORS},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """All records that fit, oldest first, one JSON object a line, sent while they are read. That is a record."""
        rows = _rows(self.viewer, self.parameters(*NAMES))
        pieces = _lines(rows)
        record(
            actor=self.viewer.actor,
            verb="audit.records.exported",
            object_type="audit.auditevent",
            object_name="audit records",
            after={"format": "ndjson", "question": request.META.get("QUERY_STRING", "")[:1000]},
        )
        answer = StreamingHttpResponse(pieces, content_type="application/x-ndjson")
        answer["Content-Disposition"] = 'attachment; filename="audit.ndjson"'
        return answer


def _lines(rows: QuerySet[AuditEvent]) -> Iterator[bytes]:
    for batch in in_batches(rows):
        yield b"".join(orjson.dumps(_shape(event), option=orjson.OPT_APPEND_NEWLINE) for event in batch)


app_name = "audit-v1"
urlpatterns = [
    path("events", AuditEventsView.as_view(), name="events"),
    path("export", AuditExportView.as_view(), name="export"),
]
