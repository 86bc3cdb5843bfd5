"""Many rows at once, without building a model instance for each: COPY on PostgreSQL, executemany on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from django.db import connection, models

T = TypeVar("T")


def next_ids(model: type[models.Model], count: int) -> list[int]:
    """Reserve ``count`` keys of ``model``. Call inside the transaction that writes them."""
    if not count:
        return []
    table, column = model._meta.db_table, model._meta.pk.column
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT nextval(sequence) FROM generate_series(1, %s), "
                "(SELECT pg_get_serial_sequence(%s, %s)::regclass AS sequence OFFSET 0) once",
                [count, f'"{table}"', column],
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
    by_column = {f.column: getattr(f, "target_field", f) for f in model._meta.concrete_fields}
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            fields = [by_column[c] for c in columns]
            with cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
                # COPY's own text form takes a quarter of the time of writing row by row.
                if all(isinstance(f, models.AutoField) for f in fields):
                    line = "\t".join(["%d"] * len(fields)) + "\n"
                    for piece in _pieces(rows):
                        copy.write("".join([line % tuple(row) for row in piece]))
                elif all(
                    isinstance(f, models.AutoField | models.CharField | models.TextField) for f in fields
                ):
                    for piece in _pieces(rows):
                        copy.write("".join(["\t".join([_copy_text(v) for v in row]) + "\n" for row in piece]))
                else:
                    for row in rows:
                        copy.write_row(row)
            return
        prepared = _converted([by_column[c] for c in columns], rows)
        marks = ", ".join(["%s"] * len(columns))
        cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', prepared)  # noqa: S608  (our own names)


def update_rows(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Change rows by primary key, where ``bulk_update`` builds a case for each value: on PostgreSQL in one statement
    that joins them, on SQLite with one prepared statement.

    Args:
        columns: column names (``source_id``, not ``source``), of values that the database keeps as Python has them, or
            of UUIDs and datetimes.
        rows: the values, and the key at the end.
    """
    given = list(rows)
    if not given:
        return
    table, key = model._meta.db_table, str(model._meta.pk.column)
    by_column = {f.column: getattr(f, "target_field", f) for f in model._meta.concrete_fields}
    fields = [by_column[c] for c in (*columns, key)]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            changes = ", ".join(f'"{c}" = v."{c}"' for c in columns)
            names = ", ".join(f'"{c}"' for c in columns)
            arrays = ", ".join(f"%s::{field.rel_db_type(connection)}[]" for field in fields)
            cursor.execute(
                f'UPDATE "{table}" t SET {changes} FROM unnest({arrays}) AS v({names}, "key of the row") '  # noqa: S608  (our own names)
                f'WHERE t."{key}" = v."key of the row"',
                [list(values) for values in zip(*given, strict=True)],
            )
            return
        changes = ", ".join(f'"{c}" = %s' for c in columns)
        statement = f'UPDATE "{table}" SET {changes} WHERE "{key}" = %s'  # noqa: S608  (our own names)
        cursor.executemany(statement, _converted(fields, given))


def _converted(fields: Sequence[Any], rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """UUIDs and datetimes as SQLite keeps them; everything else as it is."""
    convert = [(i, f) for i, f in enumerate(fields) if isinstance(f, models.UUIDField | models.DateTimeField)]
    prepared = []
    for row in rows:
        values = list(row)
        for i, field in convert:
            values[i] = field.get_db_prep_value(values[i], connection)
        prepared.append(values)
    return prepared


def refresh_statistics(*changed: type[models.Model]) -> None:
    """Tell PostgreSQL what is in these tables, after many rows came at once: by itself it looks within a minute or so,
    and until then plans as if they were as before. SQLite plans without.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for model in changed:
                cursor.execute(f'ANALYZE "{model._meta.db_table}"')


#: Rows that are handed over together: the server stores them while the next ones are put into text.
PIECE = 2_000


def _pieces(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    remaining = iter(rows)
    while piece := list(islice(remaining, PIECE)):
        yield piece


def meanwhile(rows: Sequence[T], work: Iterable[object]) -> Iterator[T]:
    """``rows`` for ``insert_rows``, with a share of ``work`` done after each piece of them, and all of it at the end.

    PostgreSQL stores rows and keeps its indexes on another processor than ours, so that both take no longer than one.

    Args:
        work: does something each time it is asked for the next item, such as a generator that yields now and then.
    """
    shares = iter(work)
    for start in range(0, len(rows), PIECE):
        yield from rows[start : start + PIECE]
        next(shares, None)
    for _ in shares:
        pass


def _copy_text(value: str | int | None) -> str:
    """One value in the text form of COPY."""
    if type(value) is str:
        # Each looks for one byte; str.translate looks at every character, which takes documents several times as long.
        return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return "\\N" if value is None else str(value)


def fetch_where(
    model: type[models.Model], column: str, values: Sequence[str], *columns: str
) -> list[tuple[Any, ...]]:
    """Columns of the rows whose text ``column`` is one of ``values``, however many these are."""
    names = ", ".join(f'"{c}"' for c in columns)
    select = f'SELECT {names} FROM "{model._meta.db_table}" WHERE "{column}"'  # noqa: S608  (names of our own model)
    found: list[tuple[Any, ...]] = []
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"{select} = ANY(%s)", [list(values)])
            return cursor.fetchall()
        for start in range(0, len(values), 500):
            part = values[start : start + 500]
            cursor.execute(f"{select} IN ({', '.join(['%s'] * len(part))})", list(part))
            found += cursor.fetchall()
    return found
