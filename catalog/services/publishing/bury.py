"""Keeping of entities that are about to be deleted what brings them back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings

from catalog.models import Entity, Revision, Source, Tombstone
from catalog.services.publishing.cause import Cause
from catalog.services.publishing.plan import REASON, chunks
from catalog.services.publishing.revisions import close_versions


def bury(ids: Sequence[int], cause: Cause, *, source: Source | None, now: datetime) -> list[Tombstone]:
    """Close the last versions of these entities and write their tombstones, in the transaction that deletes them."""
    keep_until = now + timedelta(days=settings.CALLBOARD_TOMBSTONE_DAYS)
    close_versions(ids, end=cause.removal, actor=cause.actor, now=now)
    stones: list[Tombstone] = []
    for part in chunks(ids, 500):
        entities = Entity.objects.unrestricted(REASON).filter(pk__in=part)
        last = dict(entities.values_list("uid", "revision"))
        for revision in Revision.objects.unrestricted(REASON).filter(uid__in=list(last)).defer("text"):
            if revision.number == last[revision.uid]:
                stones.append(
                    Tombstone(
                        revision=revision,
                        ref=revision.ref,
                        uid=revision.uid,
                        kind=revision.kind,
                        namespace=revision.namespace,
                        name=revision.name,
                        owner_ref=revision.owner_ref,
                        reason=cause.removal,
                        source=source,
                        source_name=source.name if source is not None else "",
                        sync_id=cause.sync_id or None,
                        actor=cause.actor,
                        removed_at=now,
                        keep_until=keep_until,
                    )
                )
    return Tombstone.objects.bulk_create(stones, batch_size=500)
