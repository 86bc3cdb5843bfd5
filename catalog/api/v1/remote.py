"""What was taken from another instance."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from catalog.models import Source
from catalog.services.remote_report import latest_report
from portal.access.api.renderers import json_response
from portal.access.api.views import OwnView
from portal.core.errors import NotFoundError

_COUNTED = {
    "type": "object",
    "properties": {
        "count": {"type": "integer"},
        "examples": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"ref": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}
_NUMBER = {"type": "integer"}
REPORT = {
    "type": "object",
    "properties": {
        "source": {"type": "object", "properties": {n: {"type": "string"} for n in ("id", "name", "target")}},
        "sync": _NUMBER,
        "read_at": {"type": "string", "format": "date-time"},
        "complete": {"type": "boolean"},
        "error": {"type": "string"},
        **dict.fromkeys(
            ("listed", "fetched", "gone", "taken", "requests", "bytes", "pages", "unreadable"), _NUMBER
        ),
        "kinds": {"type": "array", "items": {"type": "object"}},
        **dict.fromkeys(("refused", "left_out", "conflicts", "later", "status_errors"), _COUNTED),
        "lost_relations": {"type": "object"},
        "origins": {"type": "array", "items": {"type": "object"}},
        "locations": {"type": "object"},
    },
}


class RemoteReportView(OwnView):
    """``/sources/:id/remote-report``"""

    @extend_schema(
        operation_id="catalog_v1_remote_report",
        summary="What the last reading of another instance took and lost",
        responses={200: REPORT},
    )
    def get(self, request: Request, id: UUID) -> HttpResponse:
        self.parameters()
        source = Source.objects.visible_to(self.viewer).filter(pk=id).first()
        if source is None:
            raise NotFoundError(f"There is no source {id}.")
        report = latest_report(self.viewer, source)
        named = {"id": str(source.pk), "name": source.name, "target": source.target}
        return json_response({"source": named, "sync": report.sync.pk, **report.data})
