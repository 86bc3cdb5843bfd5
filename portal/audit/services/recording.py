"""Write one record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from portal.audit.models import AuditEvent
from portal.core.context import address, request_id


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
