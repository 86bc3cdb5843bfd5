"""Reads that pages, API and services share."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Count

from catalog.models import BulkItem, BulkOperation, Contender, Entity, Source, SourceFile
from portal.access.viewer import Viewer
from portal.core.errors import NotFoundError

REASON = "a sync reads for the system"


def known_versions(source: Source) -> dict[str, tuple[str, str]]:
    """Address -> (version, digest) of the files of a source as they were last read."""
    rows = (
        SourceFile.objects.unrestricted(REASON).filter(source=source).values_list("url", "version", "digest")
    )
    return {url: (version, digest) for url, version, digest in rows}


def rivals_of(source: Source) -> list[Source]:
    """Other sources that declare an entity which ``source`` has."""
    refs = Entity.objects.unrestricted(REASON).filter(source=source).values("ref")
    rivals = Contender.objects.unrestricted(REASON).filter(entity_ref__in=refs).values("source")
    return list(Source.objects.unrestricted(REASON).filter(pk__in=rivals, enabled=True).exclude(pk=source.pk))


def location_by_id(viewer: Viewer, id: str) -> Source:
    """A registered location of the stock API.

    Raises:
        NotFoundError: there is none, also for an id that is no UUID.
    """
    try:
        key = UUID(id)
    except ValueError as error:
        raise NotFoundError(f"Found no location with ID {id}") from error
    source = registered_locations(viewer).filter(pk=key).first()
    if source is None:
        raise NotFoundError(f"Found no location with ID {id}")
    return source


def registered_locations(viewer: Viewer):  # type: ignore[no-untyped-def]  # a Source queryset; its class is built at run time
    """Sources that stock clients know as locations: everything but what settings and the command line brought."""
    hidden = (Source.RegisteredBy.SETTINGS, Source.RegisteredBy.COMMAND)
    return Source.objects.visible_to(viewer).exclude(registered_by__in=hidden).filter(type=Source.Type.URL)


def entity_by_ref(viewer: Viewer, ref: str) -> Entity:
    """An entity by its canonical reference.

    Raises:
        NotFoundError: there is none that the viewer may see.
    """
    entity = Entity.objects.visible_to(viewer).filter(ref=ref.lower()).select_related("source").first()
    if entity is None:
        raise NotFoundError(f"Entity not found: {ref}")
    return entity


def bulk_operation(viewer: Viewer, id: str | UUID) -> BulkOperation:
    """A bulk operation, with those that it undoes and that undid it.

    Raises:
        NotFoundError: there is none that the viewer may see, also for an id that is no UUID.
    """
    try:
        key = UUID(str(id))
    except ValueError:
        raise NotFoundError(f"There is no operation {id}.") from None
    rows = BulkOperation.objects.visible_to(viewer).select_related("undoes", "undone_by")
    operation: BulkOperation | None = rows.filter(pk=key).first()
    if operation is None:
        raise NotFoundError(f"There is no operation {key}.")
    return operation


def bulk_outcomes(viewer: Viewer, operations: Iterable[BulkOperation]) -> dict[UUID, dict[str, int]]:
    """How many items of each operation came to what; every outcome is there. One statement."""
    found = {each.pk: dict.fromkeys(BulkItem.Outcome.values, 0) for each in operations}
    rows = BulkItem.objects.visible_to(viewer).filter(operation__in=found)
    for key, outcome, number in rows.values_list("operation", "outcome").annotate(number=Count("pk")):
        found[key][outcome] = number
    return found
