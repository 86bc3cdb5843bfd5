"""Taking entities out: a whole registration, or one entity."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from catalog.actions import UNREGISTER
from catalog.ingest.collected import Collected
from catalog.models import Claim, Contender, Entity, KeptDocument, Problem, Source, Tombstone
from catalog.selectors import refusal
from catalog.services.publishing.cause import Cause
from catalog.services.publishing.plan import COLUMNS, REASON, Plan, Row
from catalog.services.publishing.publish import apply_plans, publish
from catalog.services.versions import wait_for_publications
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
def remove_entity(*, actor: Viewer, uid: str) -> list[Source]:
    """Remove one entity by uid. What a source still declares comes back, with another uid, when it is read again.

    Returns:
        The sources to read again: the one that declares it, and others that do. None where there was no such entity.

    Raises:
        NotAllowedError: the actor sees it, and may not remove it.
    """
    try:
        key = UUID(uid)
    except ValueError:
        return []
    wait_for_publications()  # so that it is still of this source and name when it goes
    entity = Entity.objects.visible_to(actor, UNREGISTER).filter(uid=key).select_related("source").first()
    if entity is None:
        if seen := Entity.objects.visible_to(actor).filter(uid=key).first():
            raise refusal(actor, UNREGISTER, seen)
        return []
    row = Row(**{column: getattr(entity, column) for column in COLUMNS})
    counts, _ = apply_plans(
        plan_of=lambda: Plan(
            removed=[row] if Entity.objects.unrestricted(REASON).filter(pk=entity.pk).exists() else []
        ),
        declared={},
        source=entity.source,
        cause=Cause(actor.actor, removal=Tombstone.Reason.DELETED),
        writing=transaction.atomic,
        progress=_silent,
    )
    again = list(Source.objects.unrestricted(REASON).filter(pk__in=counts.heirs, enabled=True))
    if entity.source is not None and entity.source.type == Source.Type.MANAGED:
        # In a file the text would stay, and bring the entity back.
        forget_text(sources=[entity.source.pk], ref=entity.ref)
    elif entity.source is not None:
        # What is known of its file says that the entity is there.
        Source.objects.filter(pk=entity.source.pk).update(version="")
        again.append(entity.source)
    record(
        actor=actor.actor,
        verb="catalog.entity.removed",
        target=entity,
        before={"ref": entity.ref, "uid": str(entity.uid)},
    )
    return again


def forget_text(*, sources: Iterable[UUID], ref: str) -> None:
    """Take away the texts of ``ref`` that these sources keep here, their claims to it and what was wrong with them.

    Their readings would do that as well, but nothing asks for one.
    """
    KeptDocument.objects.unrestricted(REASON).filter(source__in=sources, ref=ref).delete()
    Claim.objects.unrestricted(REASON).filter(source__in=sources, entity_ref=ref).delete()
    Contender.objects.unrestricted(REASON).filter(source__in=sources, entity_ref=ref).delete()
    Problem.objects.unrestricted(REASON).filter(source__in=sources, entity_ref=ref).delete()
