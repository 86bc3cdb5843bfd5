"""``/validate-entity`` and ``/analyze-location``: the pipeline as a question."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from catalog.api.stock import StockView
from catalog.ingest.problems import Problem
from catalog.services.preview import analyze_location, validate_entity
from portal.access.api.bodies import checked_body, refuse_unknown_parameters
from portal.access.api.renderers import json_response
from portal.core.errors import InputError


def _error(problem: Problem) -> dict[str, Any]:
    body = {
        "name": problem.error_name,
        "message": problem.message,
        "code": problem.rule,
        "path": problem.path,
    }
    return body | ({"remedy": problem.remedy} if problem.remedy else {})


class ValidateEntityView(StockView):
    """``/validate-entity``"""

    actions_required: ClassVar[dict[str, str]] = {"POST": "register"}

    @extend_schema(operation_id="catalog_validate_entity", request={"application/json": {"type": "object"}},
                   responses={200: None, 400: {"type": "object"}})  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        refuse_unknown_parameters(request, ())
        body = checked_body(request, required={"entity": dict, "location": str}, extra=True)
        problems = validate_entity(entity=body["entity"], location=body["location"])
        errors = [p for p in problems if p.severity == "error"]
        if errors:
            # Stock tells the first only, and its clients show each entry; the others ride along.
            first, *others = [_error(p) for p in errors]
            return json_response({"errors": [first | ({"others": others} if others else {})]}, status=400)
        return HttpResponse(status=200)


class AnalyzeLocationView(StockView):
    """``/analyze-location``"""

    actions_required: ClassVar[dict[str, str]] = {"POST": "register"}

    @extend_schema(operation_id="catalog_analyze_location", request={"application/json": {"type": "object"}},
                   responses={200: {"type": "object"}})  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        refuse_unknown_parameters(request, ())
        body = checked_body(
            request, required={"location": dict}, optional={"catalogFilename": str}, extra=True
        )
        target = body["location"].get("target")
        if not isinstance(target, str) or not isinstance(body["location"].get("type"), str):
            raise InputError("request/body/location must have type and target", code="api.body.missing")
        return json_response(analyze_location(target=target))
