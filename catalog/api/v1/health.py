"""``/api/catalog/v1``: the truth about the catalog: its health, freshness, conflicts and references to nothing."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from catalog.presenters.health import report_body
from catalog.query.conflicts import Conflicts, Side
from catalog.query.freshness import freshness_of
from catalog.query.health import health_report
from catalog.query.references import References
from catalog.refs import canonical
from catalog.selectors import entity_by_ref
from portal.access.api.renderers import json_response
from portal.access.api.views import OwnView
from portal.core.errors import InputError

OBJECT = {200: {"type": "object"}}
PAGE, LARGEST = 100, 500
CURSOR = OpenApiParameter("cursor", str, description="Of the page before or after, as an answer gave it.")
LIMIT = OpenApiParameter("limit", int, description=f"Rows, {PAGE} without, {LARGEST} at most.")
OWNERS = OpenApiParameter("owner", str, many=True, description="References of owners; one of them.")


class _ListView(OwnView):
    """A list in pages."""

    def limit(self, asked: int | None) -> int:
        return min(asked or PAGE, LARGEST)

    def page(self, items: list[dict[str, Any]], next_cursor: str, previous_cursor: str) -> HttpResponse:
        cursors = {"nextCursor": next_cursor, "prevCursor": previous_cursor}
        return json_response({"items": items, "pageInfo": {k: v for k, v in cursors.items() if v}})


class HealthReportView(OwnView):
    """``/health-report``"""

    @extend_schema(operation_id="catalog_v1_health_report", responses=OBJECT)
    def get(self, request: Request) -> HttpResponse:
        self.parameters()
        return json_response(report_body(health_report(self.viewer)))


class FreshnessView(OwnView):
    """``/entities/<kind>/<namespace>/<name>/freshness``"""

    @extend_schema(operation_id="catalog_v1_entity_freshness", responses=OBJECT)
    def get(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponse:
        self.parameters()
        entity = entity_by_ref(self.viewer, canonical(kind, namespace, name))
        found = freshness_of(entity)
        return json_response(
            {
                "ref": entity.ref,
                "state": entity.state,
                "lastReadingFailed": entity.has_errors,
                "fresh": not found.stale,
                "confirmedAt": found.confirmed_at.isoformat() if found.confirmed_at else None,
                "staleAt": found.stale_at.isoformat() if found.stale_at else None,
                "staleAfterDays": found.days,
            }
        )


def _side(side: Side) -> dict[str, Any]:
    source = side.source
    return {
        "source": {"id": str(source.pk), "name": source.name, "priority": source.priority}
        if source
        else None,
        "url": side.url,
        "document": side.document,
        "line": side.line,
    }


class ConflictsView(_ListView):
    """``/conflicts``"""

    @extend_schema(
        operation_id="catalog_v1_conflicts",
        parameters=[
            OpenApiParameter("source", str, description="Id of a source on either side."),
            OpenApiParameter("ref", str, description="Reference of the entity."),
            OWNERS, LIMIT, CURSOR,
        ],
        responses=OBJECT,
    )  # fmt: skip
    def get(self, request: Request) -> HttpResponse:
        asked = self.parameters("source", "ref", "owner", "limit", "cursor")
        ref = asked.one("ref")
        conflicts = Conflicts(
            self.viewer,
            source=_source_id(asked.one("source")),
            owners=[owner.lower() for owner in asked.many("owner")] or None,
            ref=ref.lower() if ref else None,
        )
        found = conflicts.page(self.limit(asked.number("limit", least=1)), asked.one("cursor") or "")
        items = [
            {"ref": row.ref, "winner": _side(row.winner), "loser": _side(row.loser), "reason": row.reason}
            for row in found.rows
        ]
        return self.page(items, found.next_cursor, found.previous_cursor)


def _source_id(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise InputError(f"{text!r} is not the id of a source.", code="catalog.source.id") from None


class ReferencesView(_ListView):
    """``/references``"""

    @extend_schema(operation_id="catalog_v1_references", parameters=[OWNERS, LIMIT, CURSOR], responses=OBJECT)
    def get(self, request: Request) -> HttpResponse:
        asked = self.parameters("owner", "limit", "cursor")
        owners = [owner.lower() for owner in asked.many("owner")] or None
        found = References(self.viewer, owners).page(
            self.limit(asked.number("limit", least=1)), asked.one("cursor") or ""
        )
        items = [
            {
                "ref": row.ref,
                "entities": row.entities,
                "relations": dict(row.types),
                "pointersUrl": f"/api/catalog/v1/references/pointers?{urlencode({'ref': row.ref})}",
            }
            for row in found.rows
        ]
        return self.page(items, found.next_cursor, found.previous_cursor)


class PointersView(OwnView):
    """``/references/pointers``"""

    @extend_schema(
        operation_id="catalog_v1_reference_pointers",
        parameters=[
            OpenApiParameter("ref", str, required=True, description="The reference that leads nowhere."),
            OpenApiParameter("after", str, description="Reference of the last entity of the page before."),
            OWNERS, LIMIT,
        ],
        responses=OBJECT,
    )  # fmt: skip
    def get(self, request: Request) -> HttpResponse:
        asked = self.parameters("ref", "after", "owner", "limit")
        ref = asked.one("ref")
        if ref is None:
            raise InputError("Name the reference with ref=.", code="api.parameter.missing")
        owners = [owner.lower() for owner in asked.many("owner")] or None
        limit = min(asked.number("limit", least=1) or PAGE, LARGEST)
        found = References(self.viewer, owners).pointers(ref.lower(), limit, asked.one("after") or "")
        return json_response({"items": [{"ref": pointer.ref, "relation": pointer.type} for pointer in found]})
