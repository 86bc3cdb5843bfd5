"""The tables of a question: those of now, or what they were at a moment.

A statement of this package names the tables of the present catalog. For the past they are shadowed by common table
expressions of the same names, so that every condition, count and order means the same then as it does now. What was at
a moment stands in two places, which are asked apart (``past.PastQuery``): entities whose present version is that old,
and past versions.
"""
# ruff: noqa: S608  (tables and columns are our own words; values travel beside the text)

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Field

from catalog.models import Entity
from catalog.query.sql import TRUE, Sql, concat

#: Columns of a past version under another name than that of the entity, or with a value that it always has.
_RENAMED = {
    "id": "v.id",
    "changed_at": "v.since",
    "revision": "v.number",
    "revised_at": "v.since",
    "revised_by": "v.actor",
    "state": f"'{Entity.State.ACTIVE.value}'",
    "state_reason": "''",
}
_VERSION_COLUMNS = frozenset(
    (
        "uid", "ref", "kind", "namespace", "name", "label", "type", "lifecycle", "owner_ref", "system_ref", "etag",
        "content_hash", "source_id", "url", "document_index", "line", "commit", "sync_id", "created_at",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """What shadows the tables of a statement.

    Attributes:
        tables: common table expressions, without WITH; empty for the present.
        narrower: which rows of ``e`` there are.
    """

    tables: Sql
    narrower: Sql

    def around(self, statement: Sql) -> Sql:
        """``statement`` over the tables of this frame."""
        if not self.tables.text:
            return statement
        rest = statement.text.removeprefix("WITH ")
        between = ", " if rest != statement.text else " "
        return concat("WITH ", self.tables, between, Sql(rest, statement.values))


NOW = Frame(Sql(""), TRUE)


def frames_at(at: datetime) -> tuple[Frame, Frame]:
    """What there was at a moment: entities that have not changed since, and versions that were valid then."""
    moment = connection.ops.adapt_datetimefield_value(at)
    # On SQLite a common table expression hides the table of its name from itself and from those before it; PostgreSQL
    # hides it from those after it only, so what reads real tables comes first.
    real = "main." if connection.vendor == "sqlite" else ""
    relations = Sql(
        "catalog_relation AS NOT MATERIALIZED (SELECT r.id, r.origin_id, r.source_ref, r.type, r.target_ref "
        f"FROM {real}catalog_relation r JOIN {real}catalog_entity o ON o.id = r.origin_id WHERE o.revised_at <= %s "
        "UNION ALL SELECT -d.id, d.revision_id, d.source_ref, d.type, d.target_ref FROM catalog_revisionrelation d "
        "JOIN catalog_revision v ON v.id = d.revision_id WHERE v.since <= %s AND v.until > %s)",
        (moment, moment, moment),
    )
    attributes = Sql(
        "catalog_entityattribute AS NOT MATERIALIZED "
        "(SELECT revision_id AS entity_id, key_id, value_id FROM catalog_revisionattribute)"
    )
    documents = Sql(
        "catalog_entitydocument AS NOT MATERIALIZED (SELECT id AS entity_id, text FROM catalog_revision)"
    )
    columns = ", ".join(
        f"{_column(field)} AS {connection.ops.quote_name(str(field.column))}"
        for field in Entity._meta.concrete_fields
    )
    versions = Sql(
        f"catalog_entity AS NOT MATERIALIZED (SELECT {columns} FROM catalog_revision v "
        "WHERE v.since <= %s AND v.until > %s)",
        (moment, moment),
    )
    unchanged = Frame(relations, Sql("e.revised_at <= %s", (moment,)))
    # The attributes are those of every version: what counts them has to ask for the rows, too.
    every = Sql("e.id IS NOT NULL")
    past = Frame(concat(relations, ", ", attributes, ", ", documents, ", ", versions), every)
    return unchanged, past


def _column(field: Field[Any, Any]) -> str:
    column = str(field.column)
    if column in _RENAMED:
        return _RENAMED[column]
    if column in _VERSION_COLUMNS:
        return f"v.{connection.ops.quote_name(column)}"
    if field.get_internal_type() == "BooleanField":
        return "FALSE"
    return f"CAST(NULL AS {field.db_type(connection)})"
