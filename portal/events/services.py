"""Write and seal the outbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils import timezone

from portal.core.sealing import seal_rows
from portal.events.models import Event


def publish(*, events: Iterable[tuple[str, str, Mapping[str, Any]]]) -> int:
    """Write events (type, subject, data) in the caller's transaction. Returns how many."""
    now = timezone.now()
    rows = [
        Event(type=kind, subject=subject[:300], data=dict(data), at=now) for kind, subject, data in events
    ]
    Event.objects.bulk_create(rows, batch_size=1_000)
    return len(rows)


def seal() -> int:
    """Give positions to committed events. Returns how many."""
    return seal_rows(Event)
