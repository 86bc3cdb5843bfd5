"""Jobs over REST: whoever started one, and staff, sees what it came to."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from portal.access.api.renderers import json_response
from portal.access.api.schema import Error, Shape
from portal.access.api.views import OwnView
from portal.access.viewer import CURATE
from portal.core.errors import InputError
from portal.core.paging import Keyset, SortKey, aware_time, decode_cursor, encode_cursor, malformed_cursor
from portal.jobs.models import Job
from portal.jobs.selectors import job_by_id
from portal.jobs.services import cancel

PAGE, MOST = 50, 200
NEWEST = Keyset((SortKey("created_at", descending=True), SortKey("pk", descending=True)))
TIME = {"type": "string", "format": "date-time", "nullable": True}


class JobShape(Shape):
    """A job."""

    described: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["id", "kind", "subject", "state", "actor", "createdAt", "progress"],
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "kind": {"type": "string"},
            "subject": {"type": "string"},
            "state": {"type": "string", "enum": list(Job.State.values)},
            "actor": {"type": "string"},
            "createdAt": TIME,
            "runAfter": TIME,
            "startedAt": TIME,
            "finishedAt": TIME,
            "attempts": {"type": "integer"},
            "cancelRequested": {"type": "boolean"},
            "progress": {
                "type": "object",
                "properties": {
                    "done": {"type": "integer"},
                    "total": {"type": "integer"},
                    "text": {"type": "string"},
                },
            },
            "result": {"type": "object", "nullable": True, "additionalProperties": True},
            "error": {
                "type": "object",
                "nullable": True,
                "properties": {
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "remedy": {"type": "string"},
                },
            },
            "links": {
                "type": "object",
                "properties": {"self": {"type": "string"}, "page": {"type": "string"}},
            },
        },
    }


class JobPage(Shape):
    """Jobs, newest first."""

    described: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["items", "pageInfo"],
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/components/schemas/JobShape"}},
            "pageInfo": {"type": "object", "properties": {"nextCursor": {"type": "string"}}},
        },
    }


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat().replace("+00:00", "Z")


def job_address(id: UUID | str) -> str:
    """Where the API tells what became of a job."""
    return reverse("jobs-v1:job", args=[id])


def job_body(job: Job) -> dict[str, Any]:
    """A job as the API gives it."""
    return {
        "id": str(job.pk),
        "kind": job.kind,
        "subject": job.subject,
        "state": job.state,
        "actor": job.actor,
        "createdAt": _time(job.created_at),
        "runAfter": _time(job.run_after),
        "startedAt": _time(job.started_at),
        "finishedAt": _time(job.finished_at),
        "attempts": job.attempts,
        "cancelRequested": job.cancel_requested,
        "progress": {"done": job.progress_done, "total": job.progress_total, "text": job.progress_text},
        "result": job.result,
        "error": job.error,
        "links": {"self": job_address(job.pk), "page": reverse("jobs:job", args=[job.pk])},
    }


def _position(text: str) -> tuple[datetime, UUID]:
    try:
        at, key = decode_cursor(text)
        return aware_time(at), UUID(key)
    except (ValueError, TypeError, AttributeError):
        raise malformed_cursor() from None


class JobsView(OwnView):
    """``/api/jobs/v1/jobs``"""

    @extend_schema(
        operation_id="jobs_list",
        parameters=[
            OpenApiParameter("kind", str, description="Such as catalog.sync_source."),
            OpenApiParameter("state", str, enum=list(Job.State.values), many=True),
            OpenApiParameter("subject", str, description="What it works on, as written."),
            OpenApiParameter("limit", int, description=f"1 to {MOST}, {PAGE} unless said."),
            OpenApiParameter("cursor", str),
        ],
        responses={200: JobPage, 400: Error, 401: Error},
    )
    def get(self, request: Request) -> HttpResponse:
        asked = self.parameters("kind", "state", "subject", "limit", "cursor")
        rows = Job.objects.visible_to(self.viewer).defer("payload")
        if kind := asked.one("kind"):
            rows = rows.filter(kind=kind)
        if subject := asked.one("subject"):
            rows = rows.filter(subject=subject)
        if states := asked.many("state"):
            wrong = sorted(set(states) - set(Job.State.values))
            if wrong:
                raise InputError(
                    f"{wrong[0][:40]!r} is no state of a job.",
                    code="jobs.state",
                    remedy=f"Use {', '.join(Job.State.values)}.",
                )
            rows = rows.filter(state__in=states)
        limit = min(asked.number("limit", least=1) or PAGE, MOST)
        if cursor := asked.one("cursor"):
            rows = rows.filter(NEWEST.beyond(_position(cursor)))
        found = list(rows.order_by(*NEWEST.order_by())[: limit + 1])
        page: dict[str, str] = {}
        if len(found) > limit:
            last = found[limit - 1]
            page["nextCursor"] = encode_cursor([last.created_at.isoformat(), str(last.pk)])
        return json_response({"items": [job_body(job) for job in found[:limit]], "pageInfo": page})


class JobView(OwnView):
    """``/api/jobs/v1/jobs/:id``"""

    @extend_schema(operation_id="jobs_read", responses={200: JobShape, 401: Error, 404: Error})
    def get(self, request: Request, id: UUID) -> HttpResponse:
        self.parameters()
        return json_response(job_body(job_by_id(self.viewer, id)))


class JobCancelView(OwnView):
    """``/api/jobs/v1/jobs/:id/cancel``"""

    actions_required: ClassVar[dict[str, str]] = {"POST": CURATE}

    @extend_schema(
        operation_id="jobs_cancel",
        request=None,
        responses={202: JobShape, 401: Error, 403: Error, 404: Error, 409: Error},
    )
    def post(self, request: Request, id: UUID) -> HttpResponse:
        self.parameters()
        cancel(actor=self.viewer, job=job_by_id(self.viewer, id, CURATE))
        return json_response(job_body(job_by_id(self.viewer, id)), status=202)
