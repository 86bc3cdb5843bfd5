"""A catalog made of finished documents, without reading any source."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from django.utils import timezone

from catalog.ingest.attributes import flatten
from catalog.models import (
    AttributeKey,
    AttributeValue,
    DataVersion,
    Entity,
    EntityAttribute,
    EntityDocument,
    Relation,
)
from catalog.models.attribute import NO_VALUE
from catalog.query.memory import ENTITIES
from catalog.services.publishing.references import recheck_targets


def document(
    name: str,
    *,
    kind: str = "Component",
    namespace: str = "default",
    spec: Mapping[str, Any] | None = None,
    relations: Iterable[tuple[str, str]] = (),
    **metadata: Any,
) -> dict[str, Any]:
    """A document as the catalog hands it out, but for uid and etag."""
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name, **metadata},
        "spec": dict(spec or {}),
        "relations": [{"type": kind_, "targetRef": target} for kind_, target in sorted(relations)],
    }


def ref_of(document: Mapping[str, Any]) -> str:
    metadata = document["metadata"]
    return f"{document['kind']}:{metadata['namespace']}/{metadata['name']}".lower()


def _text(value: Any) -> str | None:
    return value.lower() if isinstance(value, str) and 0 < len(value) <= 200 else None


def _entity(document: dict[str, Any]) -> Entity:
    metadata, spec = document["metadata"], document.get("spec") or {}
    relations = [(r["type"], r["targetRef"]) for r in document["relations"]]
    now = timezone.now()
    return Entity(
        uid=uuid.UUID(metadata["uid"]),
        ref=ref_of(document),
        kind=document["kind"].lower(),
        namespace=metadata["namespace"].lower(),
        name=metadata["name"].lower(),
        label=str(metadata.get("title") or metadata["name"]).lower()[:200],
        type=_text(spec.get("type")),
        lifecycle=_text(spec.get("lifecycle")),
        owner_ref=min((target for kind, target in relations if kind == "ownedBy"), default=None),
        system_ref=min(
            (target for kind, target in relations if kind == "partOf" and target.startswith("system:")),
            default=None,
        ),
        etag=metadata["etag"],
        content_hash=hashlib.sha1(orjson.dumps(document), usedforsecurity=False).hexdigest(),
        url=str(metadata.get("annotations", {}).get("backstage.io/managed-by-location", ""))[:2000],
        created_at=now,
        changed_at=now,
    )


def store(
    documents: Iterable[Mapping[str, Any]], *, parents: Mapping[str, str] | None = None
) -> list[Entity]:
    """Store documents with their relations and attributes, as a publication would.

    Args:
        documents: finished; a missing uid or etag is made up. They are copied, not changed.
        parents: reference of an entity to the reference of the Location that declared it.

    Returns:
        The entities, in the order of the documents.
    """
    finished = []
    for given in documents:
        document = orjson.loads(orjson.dumps(dict(given)))
        metadata = document["metadata"]
        metadata["uid"] = metadata["uid"] if len(metadata.get("uid", "")) == 36 else str(uuid.uuid4())
        metadata["etag"] = metadata["etag"] if metadata.get("etag", "<")[0] != "<" else hashlib.sha1(
            metadata["uid"].encode(), usedforsecurity=False
        ).hexdigest()  # fmt: skip
        document.setdefault("relations", [])
        finished.append(document)
    entities = Entity.objects.bulk_create([_entity(document) for document in finished])
    EntityDocument.objects.bulk_create(
        EntityDocument(entity=entity, text=orjson.dumps(document).decode())
        for entity, document in zip(entities, finished, strict=True)
    )
    Relation.objects.bulk_create(
        Relation(origin=entity, source_ref=entity.ref, type=item["type"], target_ref=item["targetRef"])
        for entity, document in zip(entities, finished, strict=True)
        for item in document["relations"]
    )
    _store_attributes(entities, finished)
    by_ref = {entity.ref: entity for entity in entities}
    for ref, parent in (parents or {}).items():
        Entity.objects.filter(ref=ref).update(parent=by_ref[parent])
        by_ref[ref].parent = by_ref[parent]
    _store_missing_targets(entities)
    version, _ = DataVersion.objects.get_or_create(pk=ENTITIES)
    DataVersion.objects.filter(pk=ENTITIES).update(value=version.value + 1)
    return entities


def _store_missing_targets(entities: list[Entity]) -> None:
    """References to nothing, which a publication knows of by the other direction of their relations."""
    refs = {entity.ref for entity in entities}
    pointers = Relation.objects.filter(origin__in=[entity.pk for entity in entities]).select_related("origin")
    there = set(Entity.objects.values_list("ref", flat=True))
    nowhere = [row for row in pointers if row.target_ref not in there and row.source_ref in refs]
    Relation.objects.bulk_create(
        Relation(origin=row.origin, source_ref=row.target_ref, type=row.type, target_ref=row.source_ref)
        for row in nowhere
    )
    recheck_targets(refs | {row.target_ref for row in nowhere})


def _store_attributes(entities: list[Entity], documents: list[dict[str, Any]]) -> None:
    rows: dict[tuple[int, str, str | None], None] = {}
    for entity, document in zip(entities, documents, strict=True):
        for key, _, original in flatten(document):
            if key != "metadata.uid":
                rows[entity.pk, key, original] = None
    known_keys = set(AttributeKey.objects.values_list("name", flat=True))
    AttributeKey.objects.bulk_create(
        AttributeKey(name=name) for name in sorted({key for _, key, _ in rows} - known_keys)
    )
    known_values = set(AttributeValue.objects.values_list("text", flat=True))
    AttributeValue.objects.bulk_create(
        AttributeValue(text=text, lower=text.lower())
        for text in sorted({value for _, _, value in rows if value is not None} - known_values)
    )
    keys = dict(AttributeKey.objects.values_list("name", "id"))
    values: dict[str | None, int] = dict(AttributeValue.objects.values_list("text", "id"))
    values[None] = NO_VALUE
    EntityAttribute.objects.bulk_create(
        EntityAttribute(entity_id=entity, key_id=keys[key], value_id=values[value])
        for entity, key, value in rows
    )
