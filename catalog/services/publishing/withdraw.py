"""Taking entities out: a whole registration, or one entity."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from catalog.ingest.collected import Collected
from catalog.models import Contender, Entity, KeptDocument, Source, Tombstone
from catalog.services.publishing.cause import Cause
from catalog.services.publishing.plan import COLUMNS, REASON, Plan, Row
from catalog.services.publishing.publish import apply_plans, publish
from portal.access.viewer import Viewer
from portal.audit.services import record


def _silent(done: int, total: int, text: str) -> None:
    """Nobody watches the progress of a removal."""


def withdraw_source(*, actor: Viewer, source: Source) -> tuple[int, list[Source]]:
    """Remove everything a source declared, in the caller's transaction.

    Returns:
        How many entities went, and the sources that should be read again because they declare one of them.
    """
    counts, _ = publish(
        source=source,
        found=Collected(),
        cause=Cause(actor.actor, removal=Tombstone.Reason.UNREGISTERED),
        writing=transaction.atomic,
        progress=_silent,
    )
    Contender.objects.unrestricted(REASON).filter(source=source).delete()
    return counts.removed, list(Source.objects.unrestricted(REASON).filter(pk__in=counts.heirs, enabled=True))


@transaction.atomic
def remove_entity(*, actor: Viewer, uid: str) -> Source | None:
    """Remove one entity by uid. What a source still declares comes back, with another uid, when it is read again.

    Returns:
        The source to read again, or None where there was no such entity, or nothing declares it.
    """
    try:
        key = UUID(uid)
    except ValueError:
        return None
    entity = Entity.objects.visible_to(actor, "curate").filter(uid=key).select_related("source").first()
    if entity is None:
        return None
    row = Row(**{column: getattr(entity, column) for column in COLUMNS})
    apply_plans(
        plan_of=lambda: Plan(
            removed=[row] if Entity.objects.unrestricted(REASON).filter(pk=entity.pk).exists() else []
        ),
        declared={},
        source=entity.source,
        cause=Cause(actor.actor, removal=Tombstone.Reason.DELETED),
        writing=transaction.atomic,
        progress=_silent,
    )
    # What is known of its file says that the entity is there.
    if entity.source is not None:
        Source.objects.filter(pk=entity.source.pk).update(version="")
    # Of what is kept here the text goes too; in a file it would stay, and bring the entity back.
    KeptDocument.objects.unrestricted(REASON).filter(source=entity.source, ref=entity.ref).delete()
    record(
        actor=actor.actor,
        verb="catalog.entity.removed",
        target=entity,
        before={"ref": entity.ref, "uid": str(entity.uid)},
    )
    return entity.source
