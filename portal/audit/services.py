"""Write, seal and verify the audit record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.db import models
from django.utils import timezone

from portal.audit.models import AuditEvent
from portal.core.context import address, request_id
from portal.core.crypto import chain_hash
from portal.core.sealing import seal_rows


def record(
    *,
    actor: str,
    verb: str,
    target: models.Model | None = None,
    object_type: str = "",
    object_id: str = "",
    object_name: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    note: str = "",
) -> AuditEvent:
    """Record one write in the caller's transaction: it stands or falls with the write.

    Args:
        actor: who, as text (``Viewer.actor``).
        verb: ``app.noun.verb`` in the past tense.
        target: the row that was written; or name it by ``object_type``, ``object_id`` and ``object_name``.
        before, after: the changed values only, JSON-serialisable, never secrets.
    """
    if target is not None:
        object_type = object_type or target._meta.label_lower
        object_id = object_id or str(target.pk)
        object_name = object_name or str(target)[:300]
    return AuditEvent.objects.create(
        at=timezone.now(),
        actor=actor[:200],
        verb=verb,
        object_type=object_type,
        object_id=object_id,
        object_name=object_name[:300],
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
        note=note,
        request_id=request_id.get(),
        address=address.get(),
    )


def _payload(event: AuditEvent) -> bytes:
    """The bytes that a digest covers: everything but the digest, in a fixed order."""
    at = event.at.astimezone(timezone.get_default_timezone()).isoformat(timespec="microseconds")
    values = (event.position, at, event.actor, event.verb, event.object_type, event.object_id, event.object_name)
    rest = (event.before, event.after, event.note, event.request_id, event.address)
    return orjson.dumps((*values, *rest), option=orjson.OPT_SORT_KEYS)


def _digest(previous: str, event: AuditEvent) -> str:
    return chain_hash(previous, _payload(event))


def seal() -> int:
    """Place committed records in order and chain them by a keyed hash. Returns how many."""
    return seal_rows(AuditEvent, _digest)


def verify() -> tuple[int, int | None]:
    """Walk the chain.

    Returns:
        How many records hold, and the first position that does not (None where all hold).
    """
    previous, expected = "", 1
    rows = AuditEvent.objects.unrestricted("verify reads every record").filter(position__isnull=False)
    for event in rows.order_by("position").iterator(chunk_size=2_000):
        if event.position != expected or event.digest != _digest(previous, event):
            return expected - 1, expected
        previous, expected = event.digest, expected + 1
    return expected - 1, None
