"""Reads that pages, API and services share."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime, time
from uuid import UUID

from django.db.models import Count, Exists, Max, OuterRef
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from catalog.ingest.sources import Known
from catalog.models import BulkItem, BulkOperation, Contender, Entity, Revision, Source, SourceFile
from portal.access.standing import standing_of
from portal.access.viewer import CURATE, VIEW, Viewer
from portal.core.errors import InputError, NotAllowedError, NotFoundError

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


def entity_by_ref(viewer: Viewer, ref: str, action: str = VIEW) -> Entity:
    """An entity by its canonical reference.

    Raises:
        NotFoundError: there is none that the viewer may see.
        NotAllowedError: they see it, and may not do ``action`` with it.
    """
    entity = Entity.objects.visible_to(viewer).filter(ref=ref.lower()).select_related("source").first()
    if entity is None:
        raise NotFoundError(f"Entity not found: {ref}")
    if action != VIEW and not may(viewer, action, entity):
        raise refusal(viewer, action, entity)
    return entity


def refusal(viewer: Viewer, action: str, entity: Entity) -> NotAllowedError:
    """The error for somebody who sees an entity and may not do this with it: it says who may."""
    return NotAllowedError(
        f"{viewer.name or viewer.actor} may not {action} {entity.ref}.",
        code=f"access.{action}.denied",
        remedy=f"Ask its owner, {entity.owner_ref}." if entity.owner_ref else "Ask a platform admin.",
    )


def looks_after(viewer: Viewer, entity: Entity) -> bool:
    """Whether to offer what owners and curators do: told by the row alone, as the rules are asked when they do it."""
    return viewer.allows(CURATE) or (
        entity.owner_ref is not None and entity.owner_ref in standing_of(viewer).refs
    )


def may(viewer: Viewer, action: str, entity: Entity) -> bool:
    """Whether the viewer may do ``action`` with an entity. One statement where rules look at it."""
    return Entity.objects.visible_to(viewer, action).filter(pk=entity.pk).exists()


def present_name(viewer: Viewer, ref: str) -> str:
    """The reference of an entity that was called ``ref`` before; empty where there is none that the viewer may see."""
    named = Entity.objects.visible_to(viewer).filter(aliases__ref=ref.lower())
    return named.values_list("ref", flat=True).first() or ""


# --- history


def moment(text: str) -> datetime | None:
    """The moment that ``at=`` names: a date (its end) or a time, in UTC where it says nothing else; None for now.

    Raises:
        InputError: ``catalog.at``: neither, or before there were dates.
    """
    if not text:
        return None
    try:
        day = parse_date(text) if len(text) == 10 else None
        at = datetime.combine(day, time.max) if day else parse_datetime(text.replace(" ", "+"))
        at = at and (at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise InputError(
            f"at={text[:40]!r} is neither a date nor a time.",
            code="catalog.at",
            remedy="Write 2026-11-20 or 2026-11-20T14:30:00Z.",
        )
    return at if at < timezone.now() else None


def versions_of(viewer: Viewer, uid: UUID, *, before: int | None = None, limit: int = 20) -> list[Revision]:
    """Past versions of an entity, newest first.

    Args:
        before: only those with a smaller number.
    """
    rows = Revision.objects.visible_to(viewer).filter(uid=uid)
    if before is not None:
        rows = rows.filter(number__lt=before)
    return list(rows.order_by("-number")[:limit])


def version_of(viewer: Viewer, uid: UUID, number: int) -> Revision:
    """One past version.

    Raises:
        NotFoundError: there is none, or it is not kept any more.
    """
    found = Revision.objects.visible_to(viewer).filter(uid=uid, number=number).first()
    if found is None:
        raise NotFoundError(
            f"There is no version {number} of {uid} any more.",
            code="catalog.version.gone",
            remedy="List the versions that are kept.",
        )
    return found


def earlier_lives(viewer: Viewer, ref: str, uid: UUID) -> list[tuple[UUID, datetime]]:
    """Other entities that bore this reference, with the time when each was last seen under it; newest first."""
    rows = Revision.objects.visible_to(viewer).filter(ref=ref).exclude(uid=uid)
    found = rows.order_by().values("uid").annotate(last=Max("until")).order_by("-last")
    return [(row["uid"], row["last"]) for row in found[:20]]


def life_of(viewer: Viewer, ref: str) -> UUID:
    """The uid of the entity that has a reference, or of the last one that had it.

    Raises:
        NotFoundError: nobody ever had it, as far as the viewer may know.
    """
    present = Entity.objects.visible_to(viewer).filter(ref=ref).values_list("uid", flat=True).first()
    if present is not None:
        return present
    last = Revision.objects.visible_to(viewer).filter(ref=ref).order_by("-until", "-pk")
    uid: UUID | None = last.values_list("uid", flat=True).first()
    if uid is None:
        raise NotFoundError(f"Entity not found: {ref}")
    return uid


def version_at(viewer: Viewer, ref: str, at: datetime) -> Entity | Revision:
    """What a reference was at a moment; also of an entity that had another name then.

    Raises:
        NotFoundError: nothing was there, or it is not kept any more.
    """
    present = Entity.objects.visible_to(viewer).filter(ref=ref).select_related("document").first()
    if present is not None and present.revised_at <= at:
        return present
    then = Revision.objects.visible_to(viewer).filter(since__lte=at, until__gt=at)
    found = then.filter(ref=ref).first()
    if found is None and present is not None:
        found = then.filter(uid=present.uid).first()
    if found is None:
        raise NotFoundError(
            f"There was no {ref} then.",
            code="catalog.version.none",
            remedy="Its history says when it was there.",
        )
    return found


# --- events


def visible_refs(viewer: Viewer, refs: Collection[str]) -> set[str]:
    """Of these references, those of entities that the viewer may see, or of which it may see what they were."""
    there = Entity.objects.visible_to(viewer).filter(ref__in=refs).values_list("ref", flat=True)
    found = set(there)
    rest = [ref for ref in refs if ref not in found]
    if rest:
        past = Revision.objects.visible_to(viewer).filter(ref__in=rest)
        found.update(past.order_by().values_list("ref", flat=True).distinct())
    return found


def visible_source_names(viewer: Viewer, names: Collection[str]) -> set[str]:
    """Of these names, those of sources that the viewer may see; for staff also those of sources that are gone.

    Otherwise a reader that is late would miss what happened to a source before it was removed. One statement: between
    two of them a source may be removed and registered again, and be neither seen nor gone.
    """
    seen = Source.objects.visible_to(viewer).filter(pk=OuterRef("pk"))
    rows = Source.objects.unrestricted("which of them are gone").filter(name__in=names)
    there = dict(rows.annotate(seen=Exists(seen)).values_list("name", "seen"))
    return {name for name in names if there.get(name, viewer.is_staff)}


# --- bulk operations


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
