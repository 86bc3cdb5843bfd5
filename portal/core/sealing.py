"""Positions in commit order for append-only tables.

Rows are written without a position in the caller's transaction. Only what is committed can be seen here, so a
transaction that stays open for long neither blocks the sealer nor loses its rows: they get later positions. What one
transaction could see of another comes before it, because keys are given in the order of writing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection, models, transaction
from django.db.models import Max

BATCH = 2_000
#: Rows that one statement numbers: the first of many are read while the rest still wait, and no lock is held for long.
NUMBERED = 20_000


def seal_rows(model: type[models.Model], digest: Callable[[str, Any], str] | None = None) -> int:
    """Give the next positions to all committed rows of ``model`` that have none.

    Args:
        model: has ``position`` (unique, null until sealed) and, with ``digest``, a ``digest`` text field.
        digest: called as ``digest(previous_digest, row)`` in position order; returns the row's own digest.

    Returns:
        How many rows were sealed.
    """
    # Past the model's own manager: it may be guarded or refuse changes, and the sealer is the exception to both.
    rows: models.QuerySet[Any] = models.QuerySet(model)
    waiting = rows.filter(position__isnull=True).order_by("pk")
    sealed = 0
    while waiting.exists():  # without the write lock, so that an idle sealer disturbs nobody
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:  # one sealer at a time, whatever starts it
                    cursor.execute(
                        "SELECT pg_advisory_xact_lock(hashtext(%s))", [f"seal:{model._meta.db_table}"]
                    )
            last = rows.aggregate(last=Max("position"))["last"] or 0
            if digest is None:
                sealed += _number(model, last)
            else:
                sealed += _chain(rows, list(waiting[:BATCH]), last, digest)
    return sealed


def anything_waits(*sealed: type[models.Model]) -> bool:
    """Whether any of these tables has rows without a position. One small statement, asked twice a second for ever."""
    quote = connection.ops.quote_name
    parts = [f"EXISTS (SELECT 1 FROM {quote(m._meta.db_table)} WHERE position IS NULL)" for m in sealed]  # noqa: S608  (names of our own models)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {' OR '.join(parts)}")
        return bool(cursor.fetchone()[0])


def _number(model: type[models.Model], last: int) -> int:
    """Positions for those that wait, in one statement."""
    table, key = (
        connection.ops.quote_name(model._meta.db_table),
        connection.ops.quote_name(str(model._meta.pk.column)),
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET position = {last} + waiting.n FROM (SELECT {key} AS waiting_key, "  # noqa: S608  (names of our own model)
            f"row_number() OVER (ORDER BY {key}) AS n FROM {table} WHERE position IS NULL "
            f"ORDER BY {key} LIMIT {NUMBERED}) AS waiting "
            f"WHERE {table}.{key} = waiting.waiting_key"
        )
        return int(cursor.rowcount)


def _chain(rows: Any, batch: list[Any], last: int, digest: Callable[[str, Any], str]) -> int:
    previous = rows.values_list("digest", flat=True).get(position=last) if last else ""
    for position, row in enumerate(batch, start=last + 1):
        row.position = position
        row.digest = previous = digest(previous, row)
    rows.bulk_update(batch, ["position", "digest"], batch_size=500)
    return len(batch)
