"""History, described."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from portal.access.api.schema import Error, Shape

TAG = ["Catalog, history"]
UID = OpenApiParameter(
    "uid", str, description="The entity where several bore the name; the last one otherwise."
)
NO = OpenApiResponse(Error, "There is no such entity or version.")

_VERSION: dict[str, Any] = {
    "type": "object",
    "required": ["number", "uid", "entityRef", "since"],
    "properties": {
        "number": {"type": "integer", "description": "1 is the first version."},
        "uid": {"type": "string", "format": "uuid"},
        "entityRef": {"type": "string"},
        "etag": {"type": "string"},
        "since": {"type": "string", "format": "date-time"},
        "until": {
            "type": "string",
            "format": "date-time",
            "nullable": True,
            "description": "Null for the present one.",
        },
        "end": {
            "type": "string",
            "nullable": True,
            "enum": ["changed", "undeclared", "unregistered", "deleted", None],
        },
        "endedBy": {"type": "string", "nullable": True},
        "actor": {"type": "string", "nullable": True, "description": "Who wrote it; null for a sync."},
        "source": {"type": "string", "format": "uuid", "nullable": True},
        "sync": {"type": "integer", "nullable": True},
        "location": {"type": "string"},
        "line": {"type": "integer"},
        "commit": {"type": "string", "nullable": True},
    },
}


class Version(Shape):
    """A version without its document."""

    described = _VERSION


class VersionDocument(Shape):
    """A version with its document."""

    described = {
        **_VERSION,
        "properties": {**_VERSION["properties"], "entity": {"type": "object", "additionalProperties": True}},
    }


class VersionPage(Shape):
    """Versions, newest first."""

    described = {
        "type": "object",
        "required": ["items", "pageInfo"],
        "properties": {
            "items": {"type": "array", "items": _VERSION},
            "pageInfo": {"type": "object", "properties": {"nextCursor": {"type": "string"}}},
        },
    }


class VersionDiff(Shape):
    """Changed fields of what the source says; relations of others, uid and etag are left out."""

    described = {
        "type": "object",
        "required": ["from", "to", "changes"],
        "properties": {
            "from": {"type": "integer"},
            "to": {"type": "integer"},
            "changes": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["path", "field", "kind"],
                    "properties": {
                        "path": {"type": "array", "items": {}},
                        "field": {"type": "string"},
                        "kind": {"type": "string", "enum": ["added", "removed", "changed"]},
                        "old": {},
                        "new": {},
                    },
                },
            },
        },
    }


REVISIONS: dict[str, Any] = {
    "operation_id": "listRevisions",
    "tags": TAG,
    "parameters": [
        OpenApiParameter("cursor", str),
        OpenApiParameter("limit", int, description="20; at most 100."),
        UID,
    ],
    "responses": {200: VersionPage, 404: NO},
}
REVISION: dict[str, Any] = {
    "operation_id": "getRevision",
    "tags": TAG,
    "parameters": [UID],
    "responses": {200: VersionDocument, 404: NO},
}
REVISION_DIFF: dict[str, Any] = {
    "operation_id": "diffRevisions",
    "tags": TAG,
    "parameters": [
        UID,
        OpenApiParameter(
            "from", int, description="The version to compare with; the one before, or 0 for nothing."
        ),
    ],
    "responses": {200: VersionDiff, 404: NO},
}
MOMENT: dict[str, Any] = {
    "operation_id": "getEntityAt",
    "tags": TAG,
    "parameters": [
        OpenApiParameter(
            "time", str, required=True, description="A date (its end) or a time; UTC unless it says so."
        )
    ],
    "responses": {200: VersionDocument, 400: Error, 404: NO},
}
