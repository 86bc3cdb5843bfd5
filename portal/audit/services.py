"""Write, seal and verify the audit record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from portal.audit.models import AuditEvent
from portal.core.context import address, request_id
from portal.core.crypto import chain_hash, chain_matches
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
        before, after: the changed values only, never secrets. Times, UUIDs and decimals become text.
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
        before=_plain(before),
        after=_plain(after),
        note=note,
        request_id=request_id.get(),
        address=address.get(),
    )


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """As JSON will keep it; a value that JSON has no form for becomes text rather than ending the write."""
    if values is None:
        return None
    plain: dict[str, Any] = json.loads(json.dumps(dict(values), cls=_Encoder))
    return plain


class _Encoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        try:
            return super().default(o)
        except TypeError:
            return sorted(o, key=str) if isinstance(o, set | frozenset) else str(o)


def _payload(event: AuditEvent) -> bytes:
    """The bytes that a digest covers: everything but the digest, in a fixed order and form."""
    at = event.at.astimezone(UTC).isoformat(timespec="microseconds")
    values = (
        event.position,
        at,
        event.actor,
        event.verb,
        event.object_type,
        event.object_id,
        event.object_name,
    )
    rest = (event.before, event.after, event.note, event.request_id, event.address)
    return json.dumps((*values, *rest), sort_keys=True, separators=(",", ":")).encode()


def _digest(previous: str, event: AuditEvent) -> str:
    return chain_hash(previous, _payload(event))


def seal() -> int:
    """Place committed records in order and chain them by a keyed hash. Returns how many."""
    return seal_rows(AuditEvent, _digest)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What walking the chain came to.

    Attributes:
        holding: how many records hold, from the first on.
        broken_at: the first position that does not; None where all hold.
        problem: what is wrong there, empty where all hold.
        waiting: records that are not sealed yet.
    """

    holding: int
    broken_at: int | None = None
    problem: str = ""
    waiting: int = 0


def verify() -> Verdict:
    """Walk the chain from the first record.

    Finds every changed, inserted, reordered or removed record but one: that the last ones were cut off shows only
    against a signed checkpoint kept elsewhere (docs/admins/audit.md). Keys that were current once have to stay in
    ``CALLBOARD_KEYS``.
    """
    reason = "verify reads every record"
    waiting = AuditEvent.objects.unrestricted(reason).filter(position__isnull=True).count()
    previous, expected = "", 1
    rows = AuditEvent.objects.unrestricted(reason).filter(position__isnull=False)
    for event in rows.order_by("position").iterator(chunk_size=2_000):
        if event.position != expected:
            return Verdict(expected - 1, expected, f"record {expected} is missing", waiting)
        if not chain_matches(event.digest, previous, _payload(event)):  # also after a change of keys
            problem = f"record {expected} is not what was sealed, or the one before it is another"
            return Verdict(expected - 1, expected, problem, waiting)
        previous, expected = event.digest, expected + 1
    return Verdict(expected - 1, waiting=waiting)
