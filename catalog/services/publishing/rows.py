"""Turning declared entities into rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from catalog.ingest.annotations import without_scripts
from catalog.ingest.attributes import flatten
from catalog.ingest.collected import Declared
from catalog.models import AttributeKey, AttributeValue, Entity, EntityAttribute, Revision
from catalog.models.attribute import NO_VALUE
from portal.core.bulk import fetch_where, insert_rows, meanwhile, next_ids

LONGEST = 200
_NOTHING = -1
NAME_COLUMNS = ("ref", "kind", "namespace", "name")
CONTENT_COLUMNS = ("label", "type", "lifecycle", "owner_ref", "system_ref")
PLACE_COLUMNS = ("source_id", "parent_id", "url", "document_index", "line", "commit", "sync_id")
ENTITY_COLUMNS = (
    "id", "uid", *NAME_COLUMNS, *CONTENT_COLUMNS, "state", "state_reason", "has_errors",
    "etag", "content_hash", *PLACE_COLUMNS, "created_at", "changed_at", "revision", "revised_at", "revised_by",
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


def name_values(declared: Declared) -> tuple[str, ...]:
    """Values for ``NAME_COLUMNS``."""
    return declared.ref, declared.kind.lower(), declared.namespace.lower(), declared.name.lower()


def place_values(
    declared: Declared, *, source_id: UUID | None, parent_id: int | None, sync_id: int
) -> tuple[Any, ...]:
    """Values for ``PLACE_COLUMNS``."""
    return source_id, parent_id, declared.url, declared.document, declared.line, declared.commit, sync_id


def entity_row(
    declared: Declared,
    *,
    id: int,
    uid: UUID,
    etag: str,
    digest: str,
    place: Sequence[Any],
    now: datetime,
    actor: str,
    last: Revision | None,
) -> tuple[Any, ...]:
    """Values for ``ENTITY_COLUMNS``.

    Args:
        last: the version after which an entity comes back, as an orphan unless ``place`` names a source; None for a
            new one.
    """
    orphan = last is not None and place[0] is None
    state = Entity.State.ORPHANED if orphan else Entity.State.ACTIVE
    return (
        id,
        uid,
        *name_values(declared),
        *content_values(declared),
        state.value,
        "Restored; nothing declares it." if orphan else "",
        False,
        etag,
        digest,
        *place,
        last.created_at if last else now,
        now,
        last.number + 1 if last else 1,
        now,
        actor,
    )


class AttributeWriter:
    """Collects attributes of entities, then writes them with their dictionaries in one go."""

    def __init__(self) -> None:
        # Keys and values are numbered here first, and the numbers replaced by those of the database at the end.
        self._rows: list[tuple[int, int, int]] = []
        self._keys: dict[str, int] = {}
        self._values: dict[str, int] = {}

    def add(self, entity_id: int, entity: dict[str, Any]) -> None:
        """Take in what is searchable of ``entity``, once each; relations are asked of their own table."""
        metadata = entity["metadata"]
        shown = {
            **entity,
            "metadata": {**metadata, "annotations": without_scripts(metadata.get("annotations") or {})},
        }
        keys, values, rows = self._keys, self._values, self._rows
        for key, _, original in flatten(shown):
            value = _NOTHING if original is None else values.setdefault(original, len(values))
            rows.append((entity_id, keys.setdefault(key, len(keys)), value))

    def write(self, work: Iterable[object] = ()) -> None:
        """Write everything; ``work`` is done meanwhile."""
        if not self._rows:
            for _ in work:
                pass
            return
        keys = self._key_ids()
        values = [*self._value_ids(), NO_VALUE]  # what counts as no value stands at -1
        rows = [(entity, keys[key], values[value]) for entity, key, value in self._rows]
        insert_rows(EntityAttribute, ("entity_id", "key_id", "value_id"), meanwhile(rows, work))

    def _key_ids(self) -> list[int]:
        known: dict[str, int] = dict(fetch_where(AttributeKey, "name", list(self._keys), "name", "id"))
        new = sorted(self._keys.keys() - known.keys())
        ids = next_ids(AttributeKey, len(new))
        insert_rows(AttributeKey, ("id", "name"), zip(ids, new, strict=True))
        known.update(zip(new, ids, strict=True))
        return [known[name] for name in self._keys]

    def _value_ids(self) -> list[int]:
        known: dict[str, int] = dict(fetch_where(AttributeValue, "text", list(self._values), "text", "id"))
        new = sorted(self._values.keys() - known.keys())
        ids = next_ids(AttributeValue, len(new))
        insert_rows(
            AttributeValue,
            ("id", "text", "lower"),
            ((i, t, t.lower()) for i, t in zip(ids, new, strict=True)),
        )
        known.update(zip(new, ids, strict=True))
        return [known[text] for text in self._values]
