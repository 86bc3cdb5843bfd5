"""Reading again on demand: by somebody who looks at an entity or a source, and wants to see what comes of it."""

from __future__ import annotations

from catalog.models import Entity, Source
from catalog.services.sources import request_sync
from portal.access.viewer import Viewer
from portal.core.errors import ConflictError
from portal.jobs.models import Job


def refresh_source(*, actor: Viewer, source: Source) -> Job:
    """Queue a reading of a source.

    Impatient repetitions get the same job as long as it waits. While a reading runs, a new one is queued behind it,
    because the one that runs may have looked before the change.

    Raises:
        ConflictError: the source is switched off.
    """
    if not source.enabled:
        raise ConflictError(
            f"{source.name} is switched off, so it is not read.",
            code="catalog.refresh.disabled",
            remedy="Switch the source on in admin.",
        )
    return request_sync(actor=actor, source=source)


def refresh_entity(*, actor: Viewer, entity: Entity) -> Job:
    """Queue a reading of the source that an entity comes from; as :func:`refresh_source`.

    Raises:
        ConflictError: no source declares it, or the source is switched off.
    """
    if entity.source is None:
        raise ConflictError(
            f"No source declares {entity.ref}, so there is nothing to read again.",
            code="catalog.refresh.no-source",
            remedy="Register the file that declares it.",
        )
    return refresh_source(actor=actor, source=entity.source)
