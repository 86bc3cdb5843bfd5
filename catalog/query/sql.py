"""Statements as text and values.

The questions of this package are put together as SQL by hand: measured, Django's query building takes longer than the
database does to answer. What a viewer may see still comes from ``visible_to`` alone, see ``scope.visible_sql``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from django.db import connection


class Sql(NamedTuple):
    """A piece of a statement; ``%s`` in the text stands for the next of the values."""

    text: str
    values: tuple[Any, ...] = ()


TRUE = Sql("TRUE")
FALSE = Sql("FALSE")
_LIKE = " LIKE "


def join(word: str, parts: Iterable[Sql]) -> Sql:
    """The parts with `` word `` between them."""
    together = list(parts)
    return Sql(
        f" {word} ".join(part.text for part in together), tuple(v for part in together for v in part.values)
    )


def concat(*parts: Sql | str) -> Sql:
    """The parts one after the other."""
    pieces = [part if isinstance(part, Sql) else Sql(part) for part in parts]
    return Sql("".join(piece.text for piece in pieces), tuple(v for piece in pieces for v in piece.values))


def one_of(column: str, values: Sequence[Any]) -> Sql:
    """``column`` has one of these values.

    On PostgreSQL they are one array, so that the statement is the same however many there are, and stays prepared.
    """
    if not values:
        return FALSE
    if len(values) == 1:
        return Sql(f"{column} = %s", (values[0],))
    if connection.vendor == "postgresql":
        return Sql(f"{column} = ANY(%s)", (list(values),))
    return Sql(f"{column} IN ({', '.join(['%s'] * len(values))})", tuple(values))


def fetch(statement: Sql) -> list[tuple[Any, ...]]:
    """All rows."""
    with _executed(statement) as cursor:
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def fetch_one(statement: Sql) -> tuple[Any, ...] | None:
    """The first row, or None."""
    with _executed(statement) as cursor:
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


@contextmanager
def _executed(statement: Sql) -> Iterator[Any]:
    """A cursor on the answer.

    Django's own cursor puts values into the text, so that PostgreSQL plans every statement anew. Where nobody watches
    statements (tests that count them, debugging), they are sent beside it, and psycopg prepares what comes often:
    measured, half the time of a short statement. Not where a pattern is compared: how many rows it finds decides
    between plans, and a prepared one is made without it.
    """
    if connection.vendor != "postgresql" or connection.queries_logged or connection.execute_wrappers:
        with connection.cursor() as cursor:
            cursor.execute(statement.text, statement.values)
            yield cursor
        return
    with connection.wrap_database_errors:
        connection.close_if_health_check_failed()
        connection.ensure_connection()
        with psycopg.Cursor(connection.connection) as plain:
            plain.execute(
                statement.text, statement.values, prepare=False if _LIKE in statement.text else None
            )
            yield plain


# --- what the two databases keep differently


def uid_value(uid: uuid.UUID) -> Any:
    """A uid as the database compares it."""
    return uid if connection.features.has_native_uuid_field else uid.hex


def uid_text(value: Any) -> str:
    """A uid as it was read, with dashes."""
    return str(value) if isinstance(value, uuid.UUID) else str(uuid.UUID(hex=value))


def uid_as_text(column: str) -> str:
    """An expression for the text of a uid column, with dashes."""
    if connection.features.has_native_uuid_field:
        return f"{column}::text"
    pieces = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    return "(" + " || '-' || ".join(f"substr({column}, {start}, {length})" for start, length in pieces) + ")"


def parse_uid(text: str) -> uuid.UUID | None:
    """The uid that is written as ``text``: lower case, with dashes. Other writings are other texts."""
    try:
        uid = uuid.UUID(text)
    except ValueError:
        return None
    return uid if str(uid) == text else None


def like(text: str, *, anywhere: bool) -> Sql:
    """``LIKE`` a pattern that holds ``text`` as it is, at the beginning or anywhere."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return Sql(f"{_LIKE}%s ESCAPE '\\'", (f"%{escaped}%" if anywhere else f"{escaped}%",))
