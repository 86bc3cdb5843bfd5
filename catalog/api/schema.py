"""What the OpenAPI description says about each read: parameters, bodies, answers and examples."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from portal.access.api.schema import Error, Shape

Described = dict[str, Any]

TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
ENTITY_REF = {"$ref": "#/components/schemas/Entity"}


class Entity(Shape):
    """An entity."""

    described = {
        "type": "object",
        "description": "An entity as its kind defines it, with `relations` and what the catalog adds to `metadata`.",
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {
            "apiVersion": {**TEXT, "example": "backstage.io/v1alpha1"},
            "kind": {**TEXT, "example": "Component"},
            "metadata": {
                "type": "object",
                "required": ["name", "namespace", "uid", "etag"],
                "properties": {"name": TEXT, "namespace": TEXT, "title": TEXT, "uid": TEXT, "etag": TEXT},
                "additionalProperties": True,
            },
            "spec": {"type": "object", "additionalProperties": True},
            "relations": {
                "type": "array",
                "items": {"type": "object", "properties": {"type": TEXT, "targetRef": TEXT}},
            },
        },
        "additionalProperties": True,
    }


PREDICATE: Described = {
    "type": "object",
    "description": (
        "Fields and values, all of which have to match; or one of `$all`, `$any`, `$not`. A value is a scalar or "
        'one of `{"$exists": true}`, `{"$in": [..]}`, `{"$hasPrefix": ".."}`, `{"$contains": ..}`.'
    ),
    "additionalProperties": True,
    "example": {"kind": "component", "spec.lifecycle": {"$in": ["production", "experimental"]}},
}


class EntityPage(Shape):
    """A page of by-query."""

    described = {
        "type": "object",
        "required": ["items", "totalItems", "pageInfo"],
        "properties": {
            "items": {"type": "array", "items": ENTITY_REF},
            "totalItems": {"type": "integer"},
            "pageInfo": {"type": "object", "properties": {"nextCursor": TEXT, "prevCursor": TEXT}},
        },
    }


class Facets(Shape):
    """Counted values."""

    described = {
        "type": "object",
        "properties": {
            "facets": {
                "type": "object",
                "additionalProperties": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"value": TEXT, "count": {"type": "integer"}}},
                },
            }
        },
        "example": {"facets": {"kind": [{"value": "API", "count": 8}, {"value": "Component", "count": 69}]}},
    }


REFUSED = OpenApiResponse(Error, "A parameter or the body is not as it has to be.")
UNKNOWN_CALLER = OpenApiResponse(Error, "No token, or one that does not count.")
NOT_THERE = OpenApiResponse(Error, "Not there, or not for you.")


def _answers(answer: Any, **more: Any) -> dict[int, Any]:
    return {
        200: answer,
        400: REFUSED,
        401: UNKNOWN_CALLER,
        **{int(k.removeprefix("s")): v for k, v in more.items()},
    }


def _body(properties: Described, required: list[str] | None = None) -> Described:
    body: Described = {"type": "object", "properties": properties}
    if required:
        body["required"] = required
    return {"application/json": body}


def _numbers(name: str, text: str, least: int = 0) -> OpenApiParameter:
    return OpenApiParameter(name, {"type": "integer", "minimum": least}, description=text)


def _repeated(name: str, text: str, *examples: OpenApiExample) -> OpenApiParameter:
    return OpenApiParameter(
        name, OpenApiTypes.STR, many=True, description=text, examples=list(examples) or None
    )


FILTER = _repeated(
    "filter",
    "Comma-separated `key=value` (any case) or `key` (is there), all of which have to match; the same key again is "
    "another value that fits. Repeat the parameter for alternatives.",
    OpenApiExample("components in production", value=["kind=component,spec.lifecycle=production"]),
    OpenApiExample("what a group owns", value=["relations.ownedBy=group:default/bookings"]),
    OpenApiExample("domains or systems", value=["kind=domain", "kind=system"]),
)
FIELDS = _repeated(
    "fields",
    "Comma-separated paths to keep, in the letter case of the entity.",
    OpenApiExample("names only", value=["kind,metadata.name,metadata.namespace"]),
)
LIMIT = _numbers("limit", "Entities in the answer.", 1)
OFFSET = _numbers("offset", "Entities to leave out before the first.")

ENTITIES: Described = {
    "operation_id": "catalog_entities_list",
    "summary": "List entities",
    "description": (
        "A bare array. Without `limit`, `offset` and `after` all of them, by uid, or by the first `order`, which "
        "leaves out entities without that field. With one of them a page, by reference or by every `order`, with the "
        "address of the next page in the `link` header."
    ),
    "parameters": [
        FILTER,
        FIELDS,
        LIMIT,
        OFFSET,
        OpenApiParameter("after", str, description="From the link header of the page before."),
        _repeated(
            "order", "`asc:key` or `desc:key`.", OpenApiExample("by name", value=["asc:metadata.name"])
        ),
    ],
    "responses": _answers(Entity(many=True)),
}
BY_QUERY_GET: Described = {
    "operation_id": "catalog_entities_query",
    "summary": "Query entities, a page at a time",
    "description": (
        "Cursors carry filter, order and text; `fields` and `limit` are given anew for each page. An order leaves out "
        "entities without a value and lists one with several values once for each."
    ),
    "parameters": [
        FILTER,
        FIELDS,
        _numbers("limit", "Entities of a page, 200 if not given; 0 only counts."),
        OFFSET,
        _repeated(
            "orderField",
            "`key`, `key,asc` or `key,desc`; the first one counts.",
            OpenApiExample("by name", value=["metadata.name,asc"]),
        ),
        OpenApiParameter("cursor", str, description="From `pageInfo` of the page beside it."),
        OpenApiParameter("totalItems", str, enum=["include", "exclude"], description="`exclude`: no count."),
        OpenApiParameter("fullTextFilterTerm", str, description="A part of a value, in any case."),
        OpenApiParameter(
            "fullTextFilterFields",
            str,
            description="Comma-separated keys to look in; else the order field, else the uid.",
        ),
    ],
    "responses": _answers(EntityPage),
}
BY_QUERY_POST: Described = {
    "operation_id": "catalog_entities_query_by_predicate",
    "summary": "Query entities by a predicate",
    "request": _body(
        {
            "query": PREDICATE,
            "fields": TEXTS,
            "limit": {"type": "integer", "minimum": 0},
            "offset": {"type": "integer", "minimum": 0},
            "orderBy": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "order"],
                    "properties": {"field": TEXT, "order": {"type": "string", "enum": ["asc", "desc"]}},
                },
            },
            "fullTextFilter": {"type": "object", "properties": {"term": TEXT, "fields": TEXTS}},
            "totalItems": {"type": "string", "enum": ["include", "exclude"]},
            "cursor": TEXT,
        }
    ),
    "responses": _answers(EntityPage),
}
BY_REFS: Described = {
    "operation_id": "catalog_entities_by_refs",
    "summary": "Get entities by their references",
    "description": "One item for each reference, in order; null for what is not there. References are canonical.",
    "parameters": [FILTER],
    "request": _body(
        {
            "entityRefs": {**TEXTS, "example": ["component:default/shop", "group:default/bookings"]},
            "fields": TEXTS,
            "query": PREDICATE,
        },
        ["entityRefs"],
    ),
    "responses": _answers(
        {
            "type": "object",
            "properties": {"items": {"type": "array", "items": {"nullable": True, "allOf": [ENTITY_REF]}}},
        }
    ),
}
BY_NAME: Described = {
    "operation_id": "catalog_entity_by_name",
    "summary": "Get an entity by kind, namespace and name",
    "responses": _answers(Entity, s404=NOT_THERE),
}
ANCESTRY: Described = {
    "operation_id": "catalog_entity_ancestry",
    "summary": "Where an entity comes from",
    "description": "The entity, then the Locations that led to it, up to the registration.",
    "responses": _answers(
        {
            "type": "object",
            "properties": {
                "rootEntityRef": TEXT,
                "items": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"entity": ENTITY_REF, "parentEntityRefs": TEXTS},
                    },
                },
            },
        },
        s404=NOT_THERE,
    ),
}
BY_UID: Described = {
    "operation_id": "catalog_entity_by_uid",
    "summary": "Get an entity by uid",
    "responses": _answers(Entity, s404=NOT_THERE),
}
DELETE_BY_UID: Described = {
    "operation_id": "catalog_entity_delete",
    "summary": "Remove an entity",
    "description": "204 also for an unknown uid. What a source still declares comes back with another uid.",
    "responses": {204: None, 401: UNKNOWN_CALLER, 403: OpenApiResponse(Error, "Only curators may.")},
}
FACETS_GET: Described = {
    "operation_id": "catalog_facets",
    "summary": "Count values of keys",
    "parameters": [
        OpenApiParameter(
            "facet",
            OpenApiTypes.STR,
            many=True,
            required=True,
            description="A key; repeat the parameter for more.",
            examples=[OpenApiExample("kinds and types", value=["kind", "spec.type"])],
        ),
        FILTER,
    ],
    "responses": _answers(Facets),
}
FACETS_POST: Described = {
    "operation_id": "catalog_facets_by_predicate",
    "summary": "Count values of keys among what fits a predicate",
    "request": _body({"facets": {**TEXTS, "example": ["kind", "spec.type"]}, "query": PREDICATE}, ["facets"]),
    "responses": _answers(Facets),
}
