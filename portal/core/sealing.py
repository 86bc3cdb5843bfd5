"""Positions in commit order for append-only tables.

Rows are written without a position in the caller's transaction; only what is committed can be seen here, so a
transaction that stays open for long neither blocks the sealer nor loses its rows: they get later positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection, models, transaction
from django.db.models import Max

BATCH = 2_000


def seal_rows(model: type[models.Model], digest: Callable[[str, Any], str] | None = None) -> int:
    """Give the next positions to all committed rows of ``model`` that have none.

    Args:
        model: has ``position`` (unique, null until sealed) and, with ``digest``, a ``digest`` text field.
        digest: called as ``digest(previous_digest, row)`` in position order; returns the row's own digest.

    Returns:
        How many rows were sealed.
    """
    rows = model._default_manager.filter(position__isnull=True)
    if not rows.exists():
        return 0
    sealed = 0
    while True:
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:  # one sealer at a time, whatever starts it
                    cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"seal:{model._meta.db_table}"])
            batch = list(rows.order_by("pk")[:BATCH])
            if not batch:
                return sealed
            last = model._default_manager.aggregate(last=Max("position"))["last"] or 0
            previous = ""
            if digest and last:
                previous = model._default_manager.values_list("digest", flat=True).get(position=last)
            for position, row in enumerate(batch, start=last + 1):
                row.position = position  # type: ignore[attr-defined]  # promised by the caller's model
                if digest:
                    previous = digest(previous, row)
                    row.digest = previous  # type: ignore[attr-defined]  # promised by the caller's model
            model._default_manager.bulk_update(batch, ["position", "digest"] if digest else ["position"], batch_size=500)
            sealed += len(batch)
            if len(batch) < BATCH:
                return sealed
