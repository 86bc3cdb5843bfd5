"""Write the outbox, give positions, forget what is old."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from portal.core.bulk import insert_rows
from portal.core.sealing import seal_rows
from portal.events.metrics import FORGOTTEN, SEAL_LAG, WRITTEN
from portal.events.models import Event
from portal.events.selectors import bounds, undelivered_from

COLUMNS = ("type", "subject", "data", "at")
LONGEST_SUBJECT = 300
#: Rows of one deleting transaction: the write lock of SQLite is not held for long.
FORGET_BATCH = 2_000
_SYSTEM = "the outbox itself"


def publish(*, events: Iterable[tuple[str, str, Mapping[str, Any]]]) -> int:
    """Write events (type, subject, data) in the caller's transaction, many as cheaply as one. Returns how many.

    They are read once the transaction is committed and the sealer came by, within a second.
    """
    now = timezone.now()
    rows = [(kind, _plain(subject)[:LONGEST_SUBJECT], _json(data), now) for kind, subject, data in events]
    if not rows:
        return 0
    with transaction.atomic(savepoint=False):  # all or none, also where the caller has no transaction
        insert_rows(Event, COLUMNS, rows)
        counts = Counter(row[0] for row in rows)
        transaction.on_commit(lambda: _count(counts))
    return len(rows)


def _count(counts: Mapping[str, int]) -> None:
    for kind, number in counts.items():
        WRITTEN.labels(kind).inc(number)


def _json(data: Mapping[str, Any]) -> str:
    text = orjson.dumps(dict(data), default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    if "\\u0000" in text:  # no column takes it, and an event must not be what ends the caller's transaction
        text = orjson.dumps(_without_nul(orjson.loads(text))).decode()
    return text


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    if isinstance(value, dict):
        return {_plain(name): _without_nul(each) for name, each in value.items()}
    return value


def _plain(text: str) -> str:
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def seal() -> int:
    """Give positions to committed events. Returns how many."""
    sealed = seal_rows(Event)
    if sealed:
        first = Event.objects.unrestricted(_SYSTEM).filter(position=bounds()[1] - sealed + 1)
        for at in first.values_list("at", flat=True):
            SEAL_LAG.observe(max((timezone.now() - at).total_seconds(), 0.0))
    return sealed


def forget_old_events() -> int:
    """Delete events older than CALLBOARD_EVENT_DAYS, from the oldest on and without holes. Returns how many.

    What a subscription that is on has not delivered yet stays, and so does the newest event: positions go on from it.
    """
    before = timezone.now() - timedelta(days=settings.CALLBOARD_EVENT_DAYS)
    forgotten = 0
    while True:
        with transaction.atomic():
            oldest, newest = bounds()
            waiting = undelivered_from()
            last = min(oldest + FORGET_BATCH - 1, newest - 1, newest if waiting is None else waiting)
            rows = Event.objects.unrestricted(_SYSTEM).filter(position__lte=last)
            young = (
                rows.filter(at__gte=before).order_by("position").values_list("position", flat=True).first()
            )
            if young is not None:
                rows = rows.filter(position__lt=young)
            # No model refers to events, so this is one statement.
            gone = rows._raw_delete(rows.db)
        forgotten += gone
        if not gone or young is not None:
            break
    if forgotten:
        FORGOTTEN.inc(forgotten)
    return forgotten
