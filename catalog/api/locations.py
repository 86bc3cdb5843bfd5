"""Registered locations on stock's paths: register, list, re-point, remove; and refresh."""

from __future__ import annotations

import base64
import binascii
from typing import Any, ClassVar

import orjson
from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from catalog.actions import REFRESH
from catalog.api.stock import StockView
from catalog.exceptions import SourceTakenError
from catalog.models import Source
from catalog.query.predicates import matches_row
from catalog.selectors import entity_by_ref, location_by_id, registered_locations
from catalog.services.preview import preview_location
from catalog.services.sources import create_source, delete_source, generated_ref, request_sync, update_source
from portal.access.api.bodies import checked_body, refuse_unknown_parameters
from portal.access.api.renderers import json_response
from portal.core.errors import InputError, NotFoundError

LISTED = {200: {"type": "array", "items": {"type": "object"}}}
LOCATION = {
    "type": "object",
    "required": ["type", "target"],
    "properties": {
        "type": {"type": "string", "enum": ["url"]},
        "target": {"type": "string"},
        "presence": {"type": "string", "enum": ["required", "optional"]},
    },
}
TRUE_WORDS = {"true", "yes", "1"}
PAGE = 1_000


def location_body(source: Source) -> dict[str, str]:
    """A location as stock clients read it."""
    return {"id": str(source.pk), "type": "url", "target": source.target, "entityRef": source.entity_ref}


class LocationsView(StockView):
    """``/locations``"""

    actions_required: ClassVar[dict[str, str]] = {"POST": "register"}

    @extend_schema(
        operation_id="catalog_locations_list", responses={200: {"type": "array", "items": {"type": "object"}}}
    )
    def get(self, request: Request) -> HttpResponse:
        refuse_unknown_parameters(request, ())
        rows = registered_locations(self.viewer).order_by("created_at", "pk")
        return json_response([{"data": location_body(source)} for source in rows])

    @extend_schema(
        operation_id="catalog_locations_create",
        parameters=[
            OpenApiParameter("dryRun", str, description="`true`: read and check the whole tree, store nothing."),
            OpenApiParameter("onConflict", str, enum=["refresh", "reject"], description="If it is known already."),
        ],
        request={"application/json": LOCATION},
        responses={201: {"type": "object"}},
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        refuse_unknown_parameters(request, ("dryRun", "onConflict"))
        on_conflict = request.query_params.get("onConflict", "reject")
        if on_conflict not in ("refresh", "reject"):
            raise InputError(f"Unknown onConflict {on_conflict!r}, expected refresh or reject.")
        body = checked_body(request, required={"type": str, "target": str}, optional={"presence": str})
        if body["type"] != "url":
            raise InputError(f"Registered locations must be of type url, found {body['type']!r}.")
        if request.query_params.get("dryRun", "").lower() in TRUE_WORDS:
            return self._dry_run(body["target"])
        presence = body.get("presence", Source.Presence.REQUIRED)
        if presence not in Source.Presence.values:
            raise InputError(f"presence must be required or optional, found {presence!r}.")
        try:
            source = create_source(
                actor=self.viewer,
                target=body["target"],
                registered_by=Source.RegisteredBy.API,
                presence=presence,
            )
        except SourceTakenError as error:
            if on_conflict != "refresh" or "id" not in error.details:
                raise
            source = location_by_id(self.viewer, error.details["id"])
            request_sync(actor=self.viewer, source=source, force=True)
        return json_response({"location": location_body(source), "entities": []}, status=201)

    def _dry_run(self, target: str) -> HttpResponse:
        exists = registered_locations(self.viewer).filter(target=target).exists()
        entities = preview_location(target=target)
        location = {
            "type": "url",
            "target": target,
            "id": f"url:{target}",
            "entityRef": generated_ref("url", target),
        }
        return json_response({"exists": exists, "location": location, "entities": entities}, status=201)


class LocationsByQueryView(StockView):
    """``/locations/by-query``"""

    @extend_schema(operation_id="catalog_locations_query", request={"application/json": {"type": "object"}},
                   responses={200: {"type": "object"}})  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        refuse_unknown_parameters(request, ())
        body = checked_body(request, optional={"limit": int, "query": dict, "cursor": str}, extra=True)
        after, query = "", body.get("query")
        limit = body.get("limit", PAGE)
        if "cursor" in body:
            after, query = _read_cursor(body["cursor"])
        if limit < 1:
            raise InputError("limit must be at least 1.")
        rows = [location_body(s) for s in registered_locations(self.viewer)]
        rows = sorted((r for r in rows if query is None or matches_row(query, r)), key=lambda r: r["id"])
        rest = [r for r in rows if r["id"] > after]
        page: dict[str, Any] = {}
        if len(rest) > limit:
            page["nextCursor"] = _write_cursor(rest[limit - 1]["id"], query)
        return json_response({"items": rest[:limit], "totalItems": len(rows), "pageInfo": page})


def _write_cursor(after: str, query: Any) -> str:
    return base64.b64encode(orjson.dumps({"after": after, "query": query})).decode()


def _read_cursor(text: str) -> tuple[str, Any]:
    try:
        value = orjson.loads(base64.b64decode(text, validate=True))
        return str(value["after"]), value["query"]
    except (binascii.Error, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError("Malformed cursor") from error


class LocationView(StockView):
    """``/locations/:id``"""

    actions_required: ClassVar[dict[str, str]] = {"PUT": "register", "DELETE": "unregister"}

    @extend_schema(operation_id="catalog_location_read", responses={200: {"type": "object"}})
    def get(self, request: Request, id: str) -> HttpResponse:
        refuse_unknown_parameters(request, ())
        return json_response(location_body(location_by_id(self.viewer, id)))

    @extend_schema(operation_id="catalog_location_update", request={"application/json": {"type": "object"}},
                   responses={200: {"type": "object"}})  # fmt: skip
    def put(self, request: Request, id: str) -> HttpResponse:
        refuse_unknown_parameters(request, ())
        body = checked_body(request, required={"type": str, "target": str})
        if body["type"] != "url":
            raise InputError(f"Registered locations must be of type url, found {body['type']!r}.")
        source = location_by_id(self.viewer, id)
        updated = update_source(actor=self.viewer, source=source, changes={"target": body["target"]})
        return json_response(location_body(updated))

    @extend_schema(operation_id="catalog_location_delete", responses={204: None})
    def delete(self, request: Request, id: str) -> HttpResponse:
        refuse_unknown_parameters(request, ())
        delete_source(actor=self.viewer, source=location_by_id(self.viewer, id))
        return HttpResponse(status=204)


class LocationByEntityView(StockView):
    """``/locations/by-entity/:kind/:namespace/:name``"""

    @extend_schema(operation_id="catalog_location_by_entity", responses={200: {"type": "object"}})
    def get(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponse:
        refuse_unknown_parameters(request, ())
        entity = entity_by_ref(self.viewer, f"{kind}:{namespace}/{name}")
        source = registered_locations(self.viewer).filter(pk=entity.source_id).first()
        if source is None:
            raise NotFoundError(f"Found no location for {entity.ref}")
        return json_response(location_body(source))


class RefreshView(StockView):
    """``/refresh``"""

    actions_by_row: ClassVar[dict[str, str]] = {"POST": REFRESH}

    @extend_schema(
        operation_id="catalog_refresh",
        request={"application/json": {"type": "object"}},
        responses={200: None},
    )
    def post(self, request: Request) -> HttpResponse:
        refuse_unknown_parameters(request, ())
        body = checked_body(request, required={"entityRef": str}, optional={"authorizationToken": str})
        entity = entity_by_ref(self.viewer, body["entityRef"], REFRESH)
        answer = HttpResponse(status=200)
        if entity.source is not None:
            job = request_sync(actor=self.viewer, source=entity.source)
            # Stock says nothing about what came of it; the body stays stock's, and this header is ours.
            answer["Callboard-Job"] = reverse("jobs-v1:job", args=[job.pk])
        return answer
