"""Whether documents, rows, relations and attributes of the catalog say the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from catalog.ingest.attributes import flatten
from catalog.models import AttributeKey, AttributeValue, Entity, EntityAttribute, MissingTarget, Relation
from catalog.models.attribute import NO_VALUE
from catalog.refs import canonical

REASON = "a check compares everything"


def contradictions() -> Iterator[str]:
    """One sentence for each place where two tables contradict each other, whatever was published in whichever order."""
    rows = list(Entity.objects.unrestricted(REASON).select_related("document"))
    ids = {row.pk for row in rows}
    shown: dict[str, set[tuple[str, str]]] = {}
    declared: dict[int, list[tuple[str, str]]] = {}
    by_id = {row.pk: row.ref for row in rows}
    for origin, source, kind, target in Relation.objects.unrestricted(REASON).values_list(
        "origin_id", "source_ref", "type", "target_ref"
    ):
        if origin not in ids:
            yield f"{source} {kind} {target} is declared by an entity that is gone"
        shown.setdefault(source, set()).add((kind, target))
        if by_id.get(origin) == source:
            declared.setdefault(origin, []).append((kind, target))
    nothing = shown.keys() - {row.ref for row in rows}
    stored = set(MissingTarget.objects.unrestricted(REASON).values_list("ref", flat=True))
    for ref in sorted(stored ^ nothing):
        yield f"{ref} is {'not ' if ref in stored else ''}in a relation and nothing"
    attributes = _stored_attributes()
    for gone in attributes.keys() - ids:
        yield f"attributes of entity {gone}, which is gone"
    for row in rows:
        yield from _of(row, shown, declared, attributes, ids)


def _of(
    row: Entity,
    shown: dict[str, set[tuple[str, str]]],
    declared: dict[int, list[tuple[str, str]]],
    attributes: dict[int, set[tuple[str, str | None]]],
    ids: set[int],
) -> Iterator[str]:
    found: dict[str, Any] = orjson.loads(row.document.text)
    metadata, relations = found["metadata"], found.pop("relations")
    if [(r["type"], r["targetRef"]) for r in relations] != sorted(shown.get(row.ref, set())):
        yield f"relations of {row.ref}"
    if (metadata["uid"], metadata["etag"]) != (str(row.uid), row.etag):
        yield f"uid or etag of {row.ref}"
    if canonical(found["kind"], metadata["namespace"], metadata["name"]) != row.ref:
        yield f"the document of {row.ref} bears another name"
    own = declared.get(row.pk, [])
    owners = sorted(target for kind, target in own if kind == "ownedBy")
    if row.owner_ref != (owners[0] if owners else None):
        yield f"owner of {row.ref}"
    systems = sorted(t for kind, t in own if kind == "partOf" and t.startswith("system:"))
    if row.system_ref != (systems[0] if systems else None):
        yield f"system of {row.ref}"
    if ("status" in found) != row.has_errors:
        yield f"status of {row.ref}"
    found.pop("status", None)
    del metadata["uid"], metadata["etag"]
    if attributes.get(row.pk, set()) != {(key, original) for key, _, original in flatten(found)}:
        yield f"attributes of {row.ref}"
    if row.parent_id is not None and row.parent_id not in ids:
        yield f"parent of {row.ref}"


def _stored_attributes() -> dict[int, set[tuple[str, str | None]]]:
    keys = dict(AttributeKey.objects.values_list("id", "name"))
    texts: dict[int, str | None] = {**dict(AttributeValue.objects.values_list("id", "text")), NO_VALUE: None}
    found: dict[int, set[tuple[str, str | None]]] = {}
    for entity_id, key, value in EntityAttribute.objects.unrestricted(REASON).values_list(
        "entity_id", "key_id", "value_id"
    ):
        found.setdefault(entity_id, set()).add((keys[key], texts[value]))
    return found
