"""Reads that pages, API and services share."""

from __future__ import annotations

from uuid import UUID

from catalog.ingest.sources import Known
from catalog.models import Contender, Entity, Source, SourceFile
from portal.access.viewer import Viewer
from portal.core.errors import NotFoundError

REASON = "a sync reads for the system"


def known_files(source: Source) -> dict[str, Known]:
    """Address -> what is known of the files of a source from its last reading."""
    rows = SourceFile.objects.unrestricted(REASON).filter(source=source)
    columns = ("url", "version", "digest", "mark", "commit", "record", "id")
    return {url: Known(*values) for url, *values in rows.values_list(*columns)}


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
