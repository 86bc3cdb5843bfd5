"""Reads that pages, API and services share."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from catalog.models import Contender, Entity, Source, SourceFile
from portal.access.viewer import VIEW, Viewer
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


def source_named(viewer: Viewer, name: str, action: str = VIEW) -> Source:
    """A source by its name or id, on which the viewer may do ``action``.

    Raises:
        NotFoundError: there is none.
    """
    rows = Source.objects.visible_to(viewer, action)
    source: Source | None = rows.filter(name=name).first() if "\0" not in name else None
    if source is None:
        with suppress(ValueError):
            source = rows.filter(pk=UUID(name)).first()
    if source is None:
        raise NotFoundError(
            f"There is no source {name[:120]}.",
            code="catalog.source.unknown",
            remedy="The page of sources lists their names.",
        )
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
