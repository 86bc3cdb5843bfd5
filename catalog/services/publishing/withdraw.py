"""Taking entities out: a whole registration, or one entity."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from catalog.ingest.collected import Collected
from catalog.models import Contender, Entity, Source
from catalog.services.publishing.compare import COLUMNS, REASON, Plan, Row, chunks
from catalog.services.publishing.publish import apply_plans, publish
from portal.access.viewer import Viewer
from portal.audit.services import record


def _silent(done: int, total: int, text: str) -> None:
    """Nobody watches the progress of a removal."""


def heirs_of(refs: list[str], source: Source) -> list[Source]:
    """Other sources that declare one of these references too: they take over when they are read again."""
    ids: set[UUID] = set()
    for part in chunks(refs):
        rows = Contender.objects.unrestricted(REASON).filter(entity_ref__in=part)
        ids.update(rows.exclude(source=source).values_list("source_id", flat=True))
    return list(Source.objects.unrestricted(REASON).filter(pk__in=ids, enabled=True))


def withdraw_source(*, source: Source) -> tuple[int, list[Source]]:
    """Remove everything a source declared, in the caller's transaction.

    Returns:
        How many entities went, and the sources that should be read again because they declare one of them.
    """
    refs = list(Entity.objects.unrestricted(REASON).filter(source=source).values_list("ref", flat=True))
    heirs = heirs_of(refs, source)
    counts, _ = publish(
        source=source, found=Collected(), sync_id=0, writing=transaction.atomic, progress=_silent
    )
    Contender.objects.unrestricted(REASON).filter(source=source).delete()
    return counts.removed, heirs


@transaction.atomic
def remove_entity(*, actor: Viewer, uid: str) -> Source | None:
    """Remove one entity by uid. What a source still declares comes back, with another uid, when it is read again.

    Returns:
        The source to read again, or None where there was no such entity.
    """
    try:
        key = UUID(uid)
    except ValueError:
        return None
    entity = Entity.objects.visible_to(actor, "curate").filter(uid=key).select_related("source").first()
    if entity is None or entity.source is None:
        return None
    row = Row(**{column: getattr(entity, column) for column in COLUMNS})
    apply_plans(
        plan_of=lambda: Plan(
            removed=[row] if Entity.objects.unrestricted(REASON).filter(pk=entity.pk).exists() else []
        ),
        declared={},
        source=entity.source,
        sync_id=0,
        writing=transaction.atomic,
        progress=_silent,
    )
    record(
        actor=actor.actor,
        verb="catalog.entity.removed",
        target=entity,
        before={"ref": entity.ref, "uid": str(entity.uid)},
    )
    return entity.source
