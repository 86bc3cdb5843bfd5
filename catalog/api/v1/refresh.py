"""``POST /api/catalog/v1/refresh``: read again, and a job that says what came of it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from catalog.actions import REFRESH
from catalog.selectors import entity_by_ref, source_named
from catalog.services.refreshing import refresh_entity, refresh_source
from portal.access.api.bodies import checked_body
from portal.access.api.permissions import require
from portal.access.api.renderers import json_response
from portal.access.api.schema import Error, Shape
from portal.access.api.views import OwnView
from portal.core.errors import InputError
from portal.jobs.models import Job


class RefreshRequest(Shape):
    """What to read again: one of the two."""

    described: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {
            "entityRef": {"type": "string", "example": "component:default/shop"},
            "source": {"type": "string", "description": "Name or id of a source."},
        },
    }


class RefreshAnswer(Shape):
    """The job that reads it."""

    described: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["job", "source", "links"],
        "properties": {
            "job": {"type": "string", "format": "uuid"},
            "source": {"type": "string"},
            "links": {
                "type": "object",
                "properties": {"job": {"type": "string"}, "page": {"type": "string"}},
            },
        },
    }


def job_links(job: Job) -> dict[str, str]:
    """Where the API and the portal tell what became of a job."""
    return {
        "job": reverse("jobs-v1:job", args=[job.pk]),
        "page": reverse("jobs:job", args=[job.pk]),
    }


class RefreshView(OwnView):
    """``/api/catalog/v1/refresh``"""

    actions_by_row: ClassVar[dict[str, str]] = {"POST": REFRESH}

    @extend_schema(
        operation_id="catalog_v1_refresh",
        request=RefreshRequest,
        responses={202: RefreshAnswer, 400: Error, 401: Error, 403: Error, 404: Error, 409: Error},
    )
    def post(self, request: Request) -> HttpResponse:
        self.parameters()
        body = checked_body(request, optional={"entityRef": str, "source": str})
        if len(body) != 1:
            raise InputError(
                "Name either entityRef or source.",
                code="catalog.refresh.what",
                remedy='Send {"source": "name"}.',
            )
        if "source" in body:
            require(self.viewer, REFRESH)
            source = source_named(self.viewer, body["source"])
            job = refresh_source(actor=self.viewer, source=source)
        else:
            entity = entity_by_ref(self.viewer, body["entityRef"], REFRESH)
            job = refresh_entity(actor=self.viewer, entity=entity)
        links = job_links(job)
        answer = json_response({"job": str(job.pk), "source": job.subject, "links": links}, status=202)
        answer["Location"] = links["job"]
        return answer
