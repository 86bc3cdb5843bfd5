"""Writing, described: entities that are kept here, and bulk operations."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from portal.access.api.idempotency import PARAMETER as IDEMPOTENCY_KEY
from portal.access.api.schema import Error

_JSON = {"application/json": {"type": "object"}}
_ENTITY = {"type": "object", "additionalProperties": True}
_WRITTEN = {
    "type": "object",
    "required": ["outcome", "revision", "entity", "warnings"],
    "properties": {
        "outcome": {"type": "string", "enum": ["created", "changed", "unchanged", "renamed"]},
        "revision": {"type": "integer"},
        "source": {"type": "string", "nullable": True},
        "tookOverFrom": {"type": "string", "nullable": True},
        "warnings": {"type": "array", "items": {"type": "object"}},
        "entity": _ENTITY,
    },
}
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The etag that was read, in quotes, or `*` for any. Another present version answers 412 with its etag.",
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="`*`: only create, never change."
)
_TAGS = ["catalog"]
_ERRORS: dict[Any, Any] = {
    400: OpenApiResponse(
        Error, "Refused; `problems` has rule, path, message and remedy of everything that is wrong."
    ),
    409: OpenApiResponse(Error, "A source declares it, or the name is taken."),
    412: OpenApiResponse(Error, "Another version by now; `etag` has the present one."),
    428: OpenApiResponse(Error, "It is there already: say which version was seen."),
}
_GONE: dict[Any, Any] = {404: OpenApiResponse(Error, "Not there, or not for this viewer.")}

READ: dict[str, Any] = {
    "operation_id": "catalog_v1_entity_read",
    "tags": _TAGS,
    "summary": "Read an entity, with its etag",
    "parameters": [
        OpenApiParameter(
            "If-None-Match", str, OpenApiParameter.HEADER, description="An etag that is known already: 304."
        )
    ],
    "responses": {200: _ENTITY, 304: OpenApiResponse(None, "Still that version."), **_GONE},
}
PUT: dict[str, Any] = {
    "operation_id": "catalog_v1_entity_put",
    "tags": _TAGS,
    "summary": "Create or change an entity that is kept here",
    "parameters": [
        OpenApiParameter("source", str, description="Name of the managed source that shall keep it."),
        IF_MATCH,
        IF_NONE_MATCH,
    ],
    "request": {"application/json": _ENTITY},
    "responses": {200: _WRITTEN, 201: _WRITTEN, **_ERRORS},
}
PATCH: dict[str, Any] = {
    "operation_id": "catalog_v1_entity_patch",
    "tags": _TAGS,
    "summary": "Change parts of an entity that is kept here (RFC 7396)",
    "parameters": [IF_MATCH],
    "request": {"application/merge-patch+json": _ENTITY, "application/json": _ENTITY},
    "responses": {200: _WRITTEN, **_ERRORS, **_GONE},
}
DELETE: dict[str, Any] = {
    "operation_id": "catalog_v1_entity_delete",
    "tags": _TAGS,
    "summary": "Delete an entity that is kept here; its tombstone brings it back",
    "parameters": [IF_MATCH],
    "responses": {200: OpenApiTypes.OBJECT, **_ERRORS, **_GONE},
}
RENAME: dict[str, Any] = {
    "operation_id": "catalog_v1_entity_rename",
    "tags": _TAGS,
    "summary": "Rename an entity that is kept here; its uid and history stay",
    "parameters": [IF_MATCH, IDEMPOTENCY_KEY],
    "request": {
        "application/json": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}},
        }
    },
    "responses": {200: _WRITTEN, **_ERRORS, **_GONE},
}
RESTORE_REVISION: dict[str, Any] = {
    "operation_id": "catalog_v1_entity_restore_revision",
    "tags": _TAGS,
    "summary": "Write what an earlier version said as a new version",
    "parameters": [IF_MATCH, IDEMPOTENCY_KEY],
    "request": _JSON,
    "responses": {200: _WRITTEN, **_ERRORS, **_GONE},
}
RESTORE: dict[str, Any] = {
    "operation_id": "catalog_v1_entity_restore",
    "tags": _TAGS,
    "summary": "Bring a removed entity back",
    "parameters": [IDEMPOTENCY_KEY],
    "request": _JSON,
    "responses": {200: OpenApiTypes.OBJECT, 409: _ERRORS[409], **_GONE},
}

_OPERATION = {"type": "object", "additionalProperties": True}
_PAGED = [
    OpenApiParameter("cursor", str, description="`nextCursor` of the page before."),
    OpenApiParameter("limit", int, description="At most 500; 50 unless given."),
]
BULK_LIST: dict[str, Any] = {
    "operation_id": "catalog_v1_bulk_list",
    "tags": _TAGS,
    "summary": "Past bulk operations, newest first",
    "parameters": _PAGED,
    "responses": {200: _OPERATION},
}
BULK_START: dict[str, Any] = {
    "operation_id": "catalog_v1_bulk_start",
    "tags": _TAGS,
    "summary": "Preview a write to many entities, or start it with the token of its preview",
    "parameters": [IDEMPOTENCY_KEY],
    "request": {
        "application/json": {
            "type": "object",
            "required": ["select", "do"],
            "properties": {
                "select": {
                    "type": "object",
                    "description": "All of what is named has to hold.",
                    "properties": {
                        "filter": {"type": "array", "items": {"type": "string"}},
                        "query": {"type": "object"},
                        "refs": {"type": "array", "items": {"type": "string"}},
                    },
                },
                "do": {
                    "type": "object",
                    "description": "One of them.",
                    "properties": {
                        "set": {"type": "object", "description": "A merge patch (RFC 7396)."},
                        "delete": {"type": "object"},
                        "refresh": {"type": "object"},
                        "unregister": {"type": "object"},
                    },
                },
                "preview": {"type": "boolean", "default": True},
                "token": {"type": "string", "description": "Of the preview; needed without `preview`."},
                "limit": {"type": "integer", "description": "Items that the preview shows, at most 500."},
            },
        }
    },
    "responses": {
        200: _OPERATION,
        202: _OPERATION,
        400: _ERRORS[400],
        409: OpenApiResponse(Error, "Something changed since the preview."),
    },
}
BULK_READ: dict[str, Any] = {
    "operation_id": "catalog_v1_bulk_read",
    "tags": _TAGS,
    "summary": "One bulk operation, and what became of each entity",
    "parameters": [*_PAGED, OpenApiParameter("outcome", str, description="Only items of this outcome.")],
    "responses": {200: _OPERATION, **_GONE},
}
BULK_UNDO: dict[str, Any] = {
    "operation_id": "catalog_v1_bulk_undo",
    "tags": _TAGS,
    "summary": "Put back what a bulk operation changed",
    "parameters": [IDEMPOTENCY_KEY],
    "request": _JSON,
    "responses": {
        202: _OPERATION,
        409: OpenApiResponse(Error, "It still runs, was undone already, or changed nothing."),
        **_GONE,
    },
}
