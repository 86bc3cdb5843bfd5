"""Many rows at once, without building a model instance for each: COPY on PostgreSQL, executemany on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models


def next_ids(model: type[models.Model], count: int) -> list[int]:
    """Reserve ``count`` keys of ``model``. Call inside the transaction that writes them."""
    if not count:
        return []
    table, column = model._meta.db_table, model._meta.pk.column  # type: ignore[union-attr]  # every model here has a pk
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)",
                [f'"{table}"', column, count],
            )
            return [row[0] for row in cursor.fetchall()]
        # The write lock is held (IMMEDIATE), so the largest key cannot change; AUTOINCREMENT may be ahead of it.
        cursor.execute(f'SELECT COALESCE(MAX("{column}"), 0) FROM "{table}"')  # noqa: S608  (names of our own model)
        largest = cursor.fetchone()[0]
        cursor.execute("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = %s", [table])
        first = max(largest, cursor.fetchone()[0]) + 1
        return list(range(first, first + count))


def insert_rows(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert ``rows``.

    Args:
        columns: column names (``source_id``, not ``source``), in the order of the values.
        rows: values as Python has them; UUIDs and datetimes are written as the database stores them.
    """
    table = model._meta.db_table
    names = ", ".join(f'"{c}"' for c in columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)
            return
        by_column = {f.column: getattr(f, "target_field", f) for f in model._meta.concrete_fields}
        converted = (models.UUIDField, models.DateTimeField)
        convert = [(i, by_column[c]) for i, c in enumerate(columns) if isinstance(by_column[c], converted)]
        prepared = []
        for row in rows:
            values = list(row)
            for i, field in convert:
                values[i] = field.get_db_prep_value(values[i], connection)
            prepared.append(values)
        marks = ", ".join(["%s"] * len(columns))
        cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', prepared)  # noqa: S608  (our own names)
