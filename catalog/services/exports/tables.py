"""Entities as rows of a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from typing import Any

import orjson

from catalog.models import Entity
from catalog.query.fields import value_at

COLUMNS = (
    "ref", "kind", "namespace", "name", "title", "type", "lifecycle", "owner", "system", "tags", "description",
    "source", "file", "state", "changed",
)  # fmt: skip
#: What a spreadsheet would begin to compute with. Numbers stay numbers.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def columns_of(row: Entity, document: dict[str, Any]) -> list[str]:
    """Values for ``COLUMNS``."""
    metadata = document["metadata"]
    return [
        row.ref,
        document["kind"],
        row.namespace,
        metadata["name"],
        as_cell(metadata.get("title")),
        cell(document, "spec.type"),
        cell(document, "spec.lifecycle"),
        row.owner_ref or "",
        row.system_ref or "",
        as_cell(metadata.get("tags")),
        as_cell(metadata.get("description")),
        row.source.name if row.source is not None else "",
        row.url,
        row.state,
        row.changed_at.isoformat(),
    ]


def cell(document: dict[str, Any], path: str) -> str:
    """What stands at a path of a document; empty where nothing does."""
    return as_cell(value_at(document, path))


def as_cell(value: Any) -> str:
    """A value as text: lists of texts with commas between, other structures as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return orjson.dumps(value).decode()


def csv_line(values: Sequence[str]) -> bytes:
    """One line of a CSV file (RFC 4180). A text that a spreadsheet would run as a formula gets an apostrophe."""
    out = StringIO()
    csv.writer(out).writerow([_harmless(value) for value in values])
    return out.getvalue().encode("utf-8", "replace")


def _harmless(text: str) -> str:
    if not text.lstrip(" \n").startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
