"""Bulk operations: preview, start, look at, undo."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from catalog.api.v1.schema import writing as schema
from catalog.models import BulkItem, BulkOperation
from catalog.selectors import bulk_operation, bulk_outcomes
from catalog.services.bulk import Change, Preview, Selection, preview_bulk, start_bulk, undo_bulk
from catalog.services.bulk.operations import UNDOABLE, is_over
from portal.access.api.bodies import checked_body
from portal.access.api.idempotency import idempotent
from portal.access.api.renderers import json_response
from portal.access.api.views import OwnView
from portal.core.errors import InputError
from portal.core.paging import Keyset, SortKey, aware_time, decode_cursor, encode_cursor, malformed_cursor

PAGE, LARGEST = 50, 500
_NEWEST = Keyset((SortKey("created_at", descending=True), SortKey("id", descending=True)))
_BY_POSITION = Keyset((SortKey("position"),))


def operation_body(operation: BulkOperation, outcomes: dict[str, int]) -> dict[str, Any]:
    """An operation as the API tells it."""
    finished = operation.finished_at
    undone_by = getattr(operation, "undone_by", None)
    return {
        "id": str(operation.pk),
        "verb": operation.verb,
        "state": operation.state,
        "change": operation.change,
        "selection": operation.selection,
        "actor": operation.actor,
        "job": str(operation.job_id) if operation.job_id else None,
        "createdAt": operation.created_at.isoformat(),
        "finishedAt": finished.isoformat() if finished else None,
        "total": operation.total,
        "outcomes": outcomes,
        "undoes": str(operation.undoes.pk) if operation.undoes else None,
        "undoneBy": str(undone_by.pk) if undone_by else None,
    }


def item_body(item: BulkItem) -> dict[str, Any]:
    """What became of one entity or source."""
    return {
        "ref": item.ref,
        "id": str(item.subject),
        "outcome": item.outcome,
        "effect": item.effect or None,
        "reason": item.reason or None,
        "revisionBefore": item.before_number,
        "revisionAfter": item.after_number,
    }


def preview_body(preview: Preview, limit: int) -> dict[str, Any]:
    """A preview: those that change first, then those that are refused."""
    order = {"change": 0, "refused": 1, "unchanged": 2}
    shown = sorted(preview.items, key=lambda item: order[item.outcome])[:limit]
    return {
        "preview": True,
        "token": preview.token,
        "do": preview.change.as_json(),
        "total": len(preview.items),
        "counts": {name: preview.counts[name] for name in order},
        "items": [
            {
                "ref": item.ref,
                "id": str(item.subject),
                "revision": item.number,
                "outcome": item.outcome,
                "reason": item.reason or None,
                "differences": list(item.differences),
            }
            for item in shown
        ],
        "more": len(preview.items) - len(shown),
    }


class Starting(OwnView):
    """What starts an operation answers alike."""

    def started(self, operation: BulkOperation) -> HttpResponse:
        """202, with where to look."""
        outcomes = bulk_outcomes(self.viewer, [operation])[operation.pk]
        response = json_response(operation_body(operation, outcomes), status=202)
        response["Location"] = reverse("catalog-v1:bulk-operation", args=[operation.pk])
        return response


class BulkOperationsView(Starting):
    """``/bulk``"""

    actions_required: ClassVar[dict[str, str]] = {"GET": "write", "POST": "write"}

    @extend_schema(**schema.BULK_LIST)
    def get(self, request: Request) -> HttpResponse:
        parameters = self.parameters("cursor", "limit")
        limit = min(parameters.number("limit", least=1) or PAGE, LARGEST)
        rows = BulkOperation.objects.visible_to(self.viewer).select_related("undoes", "undone_by")
        if cursor := parameters.one("cursor"):
            rows = rows.filter(_NEWEST.beyond(_position(cursor, _NEWEST)))
        found = list(rows.order_by(*_NEWEST.order_by())[: limit + 1])
        page = found[:limit]
        outcomes = bulk_outcomes(self.viewer, page)
        body: dict[str, Any] = {"items": [operation_body(each, outcomes[each.pk]) for each in page]}
        if len(found) > limit:
            last = page[-1]
            body["nextCursor"] = encode_cursor([last.created_at.isoformat(), str(last.pk)])
        return json_response(body)

    @extend_schema(**schema.BULK_START)
    @idempotent
    def post(self, request: Request) -> HttpResponse:
        """A preview, or with its token the operation: 202."""
        self.parameters()
        body = checked_body(
            request,
            required={"select": dict, "do": dict},
            optional={"preview": bool, "token": str, "limit": int},
        )
        selection, change = Selection.of(body["select"]), Change.of(body["do"])
        if body.get("preview", True):
            limit = body.get("limit", PAGE)
            if not 0 <= limit <= LARGEST:
                raise InputError(f"request/body/limit must be 0 to {LARGEST}", code="api.body.limit")
            return json_response(
                preview_body(preview_bulk(actor=self.viewer, selection=selection, change=change), limit)
            )
        operation = start_bulk(
            actor=self.viewer, selection=selection, change=change, token=body.get("token", "")
        )
        return self.started(operation)


class BulkOperationView(OwnView):
    """``/bulk/<id>``: the operation, and its items a page at a time."""

    actions_required: ClassVar[dict[str, str]] = {"GET": "write"}

    @extend_schema(**schema.BULK_READ)
    def get(self, request: Request, id: str) -> HttpResponse:
        parameters = self.parameters("cursor", "limit", "outcome")
        limit = min(parameters.number("limit", least=1) or PAGE, LARGEST)
        operation = bulk_operation(self.viewer, id)
        rows = BulkItem.objects.visible_to(self.viewer).filter(operation=operation)
        if wanted := parameters.one("outcome"):
            if wanted not in BulkItem.Outcome.values:
                raise InputError(
                    f"There is no outcome {wanted!r}.",
                    code="api.parameter.outcome",
                    remedy=f"One of {', '.join(BulkItem.Outcome.values)}.",
                )
            rows = rows.filter(outcome=wanted)
        if cursor := parameters.one("cursor"):
            rows = rows.filter(_BY_POSITION.beyond(_position(cursor, _BY_POSITION)))
        found = list(rows.order_by("position")[: limit + 1])
        body = operation_body(operation, bulk_outcomes(self.viewer, [operation])[operation.pk])
        over = is_over(operation)
        body["undoable"] = (
            over
            and body["undoneBy"] is None
            and BulkItem.objects.visible_to(self.viewer)
            .filter(operation=operation, effect__in=UNDOABLE)
            .exists()
        )
        body["items"] = [item_body(item) for item in found[:limit]]
        if len(found) > limit:
            body["nextCursor"] = encode_cursor([found[limit - 1].position])
        return json_response(body)


class UndoView(Starting):
    """``/bulk/<id>/undo``"""

    actions_required: ClassVar[dict[str, str]] = {"POST": "write"}

    @extend_schema(**schema.BULK_UNDO)
    @idempotent
    def post(self, request: Request, id: str) -> HttpResponse:
        self.parameters()
        if request.data not in ({}, None):
            raise InputError("request/body must be empty", code="api.body.extra")
        return self.started(undo_bulk(actor=self.viewer, operation=bulk_operation(self.viewer, id)))


def _position(cursor: str, keyset: Keyset) -> list[Any]:
    at = decode_cursor(cursor)
    if not isinstance(at, list) or len(at) != len(keyset.keys):
        raise malformed_cursor()
    try:
        return [aware_time(at[0]), UUID(at[1])] if len(at) == 2 else [int(at[0])]
    except (AttributeError, TypeError, ValueError):
        raise malformed_cursor() from None
