"""Keeping of entities that are about to be deleted what brings them back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from catalog.models import Entity, Relation, Source, Tombstone
from catalog.services.publishing.compare import REASON, chunks


@dataclass(frozen=True, slots=True)
class Removal:
    """Why entities go.

    Attributes:
        reason: value of ``Tombstone.Reason``.
        actor: who removed them; empty for a sync.
    """

    reason: str = Tombstone.Reason.UNDECLARED
    actor: str = ""


def bury(ids: Sequence[int], removal: Removal, *, source: Source | None, sync_id: int, now: datetime) -> None:
    """Write a tombstone for each of these entities, in the transaction that deletes them."""
    keep_until = now + timedelta(days=settings.CALLBOARD_TOMBSTONE_DAYS)
    for part in chunks(ids, 500):
        declared: dict[int, list[tuple[str, str, str]]] = defaultdict(list)
        rows = Relation.objects.unrestricted(REASON).filter(origin_id__in=part).order_by("id")
        for origin, ref, kind, target in rows.values_list("origin_id", "source_ref", "type", "target_ref"):
            declared[origin].append((ref, kind, target))
        entities = Entity.objects.unrestricted(REASON).filter(pk__in=part).select_related("document")
        Tombstone.objects.bulk_create(
            [
                Tombstone(
                    ref=entity.ref,
                    uid=entity.uid,
                    kind=entity.kind,
                    namespace=entity.namespace,
                    name=entity.name,
                    owner_ref=entity.owner_ref,
                    text=entity.document.text,
                    relations=declared[entity.pk],
                    content_hash=entity.content_hash,
                    reason=removal.reason,
                    source=source,
                    source_name=source.name if source is not None else "",
                    url=entity.url,
                    document_index=entity.document_index,
                    line=entity.line,
                    commit=entity.commit,
                    sync_id=sync_id or None,
                    actor=removal.actor,
                    removed_at=now,
                    keep_until=keep_until,
                )
                for entity in entities
            ]
        )
