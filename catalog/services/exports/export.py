"""Whole lists of entities, in pieces: bounded memory, however long the list is.

The list is that of the moment in which the export begins: its keys are read at once (8 bytes each). Documents are read
in batches as they are written, so each is of the moment in which its batch is read. What changes meanwhile is written
as it is then, what goes is left out, what comes is not in it, and nothing is written twice.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from catalog.models import Entity
from catalog.query import EntityQuery, Projection
from catalog.services.exports.descriptors import Descriptors
from catalog.services.exports.tables import COLUMNS, cell, columns_of, csv_line
from portal.access.viewer import Viewer
from portal.audit.services import record
from portal.core.errors import InputError

BATCH = 500
Pieces = Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Format:
    """A form of an export.

    Attributes:
        ending: of the file's name.
        write: rows in batches to pieces of the file.
    """

    name: str
    title: str
    content_type: str
    ending: str
    write: Callable[[Iterator[list[Entity]], Sequence[str], bool], Pieces]


def _texts(rows: Sequence[Entity], fields: Sequence[str]) -> Iterator[str]:
    projection = Projection(tuple(fields)) if fields else None
    for row in rows:
        yield projection.text(row.document.text) if projection else row.document.text


def _ndjson(batches: Iterator[list[Entity]], fields: Sequence[str], locations: bool) -> Pieces:
    for rows in batches:
        yield "".join(f"{text}\n" for text in _texts(rows, fields)).encode()


def _json(batches: Iterator[list[Entity]], fields: Sequence[str], locations: bool) -> Pieces:
    opening = "["
    for rows in batches:
        texts = ",".join(_texts(rows, fields))
        if texts:
            yield f"{opening}{texts}".encode()
            opening = ","
    yield b"[]" if opening == "[" else b"]"


def _csv(batches: Iterator[list[Entity]], fields: Sequence[str], locations: bool) -> Pieces:
    yield csv_line(["ref", *fields] if fields else COLUMNS)
    for rows in batches:
        lines = []
        for row in rows:
            document: dict[str, Any] = orjson.loads(row.document.text)
            if fields:
                lines.append(csv_line([row.ref, *(cell(document, path) for path in fields)]))
            else:
                lines.append(csv_line(columns_of(row, document)))
        yield b"".join(lines)


def _yaml(batches: Iterator[list[Entity]], fields: Sequence[str], locations: bool) -> Pieces:
    descriptors = Descriptors(locations=locations)
    yield descriptors.head
    for rows in batches:
        yield b"".join(descriptors.document(row.kind, row.document.text) for row in rows)


FORMATS: Mapping[str, Format] = {
    format.name: format
    for format in (
        Format("csv", "CSV, for spreadsheets", "text/csv; charset=utf-8", "csv", _csv),
        Format("ndjson", "NDJSON, one entity a line", "application/x-ndjson", "ndjson", _ndjson),
        Format("yaml", "YAML, as descriptors", "application/yaml; charset=utf-8", "yaml", _yaml),
        Format("json", "JSON, one list", "application/json; charset=utf-8", "json", _json),
    )
}


def export_entities(
    *, actor: Viewer, query: EntityQuery, format: str, fields: Sequence[str] = (), question: str = ""
) -> tuple[int, Pieces]:
    """Begin an export; it is audited when it begins.

    Args:
        query: whose list, in one of the portal's orders or in none.
        format: a key of ``FORMATS``.
        fields: paths to keep, or columns of a CSV; none for everything.
        question: what was asked, for the audit record.

    Returns:
        How many entities the list has, and the file in pieces.

    Raises:
        InputError: no such format; fields for descriptors, which are whole.
    """
    chosen = FORMATS.get(format)
    if chosen is None:
        raise InputError(
            f"{format[:40]!r} is no format of exports.",
            code="catalog.export.format",
            remedy=f"Use {', '.join(FORMATS)}.",
        )
    if fields and format == "yaml":
        raise InputError(
            "Descriptors are exported whole.", code="catalog.export.fields", remedy="Leave the fields out."
        )
    keys = query.keys()
    record(
        actor=actor.actor,
        verb="catalog.entities.exported",
        object_type="catalog.entity",
        object_name=question[:300],
        after={"format": format, "question": question, "fields": list(fields), "entities": len(keys)},
    )
    return len(keys), chosen.write(_batches(actor, keys), fields, query.names_kind("location"))


def _batches(viewer: Viewer, keys: array[int]) -> Iterator[list[Entity]]:
    """The entities of these keys in order, as far as they are still there for the viewer."""
    for start in range(0, len(keys), BATCH):
        part = keys[start : start + BATCH]
        rows = (
            Entity.objects.visible_to(viewer).filter(pk__in=list(part)).select_related("document", "source")
        )
        found = {row.pk: row for row in rows}
        yield [found[key] for key in part if key in found]
