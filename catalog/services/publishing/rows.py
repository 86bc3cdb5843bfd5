"""Turning declared entities into rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from catalog.ingest.annotations import without_scripts
from catalog.ingest.attributes import flatten
from catalog.ingest.collected import Declared
from catalog.models import AttributeKey, AttributeValue, Entity, EntityAttribute
from catalog.models.attribute import NO_VALUE
from portal.core.bulk import fetch_where, insert_rows, next_ids

LONGEST = 200
CONTENT_COLUMNS = ("label", "type", "lifecycle", "owner_ref", "system_ref")
PLACE_COLUMNS = ("source_id", "parent_id", "url", "document_index", "line", "commit", "sync_id")
ENTITY_COLUMNS = (
    "id", "uid", "ref", "kind", "namespace", "name", *CONTENT_COLUMNS, "state", "state_reason", "has_errors",
    "etag", "content_hash", *PLACE_COLUMNS, "created_at", "changed_at",
)  # fmt: skip


def _lower(value: Any) -> str | None:
    """A filterable text as stored, or None for what is no text or too long to be compared."""
    return value.lower() if isinstance(value, str) and 0 < len(value) <= LONGEST else None


def content_values(declared: Declared) -> tuple[str | None, ...]:
    """Values for ``CONTENT_COLUMNS``."""
    spec = declared.entity.get("spec") or {}
    metadata = declared.entity["metadata"]
    owner = system = None
    for source, kind, target in declared.relations:
        if source == declared.ref:
            if kind == "ownedBy" and (owner is None or target < owner):
                owner = target
            elif kind == "partOf" and target.startswith("system:") and (system is None or target < system):
                system = target
    label = metadata.get("title") or metadata["name"]
    return (
        str(label).lower()[:LONGEST],
        _lower(spec.get("type")),
        _lower(spec.get("lifecycle")),
        owner,
        system,
    )


def place_values(
    declared: Declared, *, source_id: UUID, parent_id: int | None, sync_id: int
) -> tuple[Any, ...]:
    """Values for ``PLACE_COLUMNS``."""
    return source_id, parent_id, declared.url, declared.document, declared.line, declared.commit, sync_id


def entity_row(
    declared: Declared, *, id: int, uid: UUID, etag: str, digest: str, place: Sequence[Any], now: datetime
) -> tuple[Any, ...]:
    """Values for ``ENTITY_COLUMNS``."""
    names = (declared.ref, declared.kind.lower(), declared.namespace.lower(), declared.name.lower())
    return (
        id,
        uid,
        *names,
        *content_values(declared),
        Entity.State.ACTIVE.value,
        "",
        False,
        etag,
        digest,
        *place,
        now,
        now,
    )


class AttributeWriter:
    """Collects attributes of entities, then writes them with their dictionaries in one go."""

    def __init__(self) -> None:
        self._rows: set[tuple[int, str, str | None]] = set()

    def add(self, entity_id: int, entity: dict[str, Any]) -> None:
        """Take in what is searchable of ``entity``; relations are asked of their own table."""
        metadata = entity["metadata"]
        shown = {
            **entity,
            "metadata": {**metadata, "annotations": without_scripts(metadata.get("annotations") or {})},
        }
        self._rows.update((entity_id, key, original) for key, _, original in flatten(shown))

    def write(self) -> None:
        keys = self._keys({key for _, key, _ in self._rows})
        values = self._values({value for _, _, value in self._rows if value is not None})
        insert_rows(
            EntityAttribute,
            ("entity_id", "key_id", "value_id"),
            (
                (entity, keys[key], NO_VALUE if value is None else values[value])
                for entity, key, value in sorted_rows(self._rows)
            ),
        )

    @staticmethod
    def _keys(names: set[str]) -> dict[str, int]:
        known = dict(AttributeKey.objects.values_list("name", "id"))
        new = sorted(names - known.keys())
        ids = next_ids(AttributeKey, len(new))
        insert_rows(AttributeKey, ("id", "name"), zip(ids, new, strict=True))
        known.update(zip(new, ids, strict=True))
        return known

    @staticmethod
    def _values(texts: set[str]) -> dict[str, int]:
        known: dict[str, int] = dict(fetch_where(AttributeValue, "text", list(texts), "text", "id"))
        new = sorted(texts - known.keys())
        ids = next_ids(AttributeValue, len(new))
        insert_rows(
            AttributeValue,
            ("id", "text", "lower"),
            ((i, t, t.lower()) for i, t in zip(ids, new, strict=True)),
        )
        known.update(zip(new, ids, strict=True))
        return known


def sorted_rows(rows: Iterable[tuple[int, str, str | None]]) -> list[tuple[int, str, str | None]]:
    """By entity, so that the rows of one entity lie together."""
    return sorted(rows, key=lambda row: row[0])
