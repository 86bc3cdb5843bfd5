"""Records in commit order, each chained to the one before by a keyed hash."""

from __future__ import annotations

import json
from datetime import UTC

from portal.audit.models import AuditEvent
from portal.core.crypto import chain_hash, chain_matches
from portal.core.sealing import seal_rows


def holds(previous: str, event: AuditEvent) -> bool:
    """Whether a record is what was sealed after the one with the digest ``previous``, with any of the keys."""
    return chain_matches(event.digest, previous, _payload(event))


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
