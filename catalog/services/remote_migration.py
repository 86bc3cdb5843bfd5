"""Moving from another instance for good: what is registered there becomes sources of our own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from django.db import transaction

from catalog.exceptions import SourceTakenError
from catalog.ingest.remote import CONFLICT, TAKEN, filters_of
from catalog.ingest.sources import ReadSession
from catalog.ingest.sources.remote import RemoteCatalog
from catalog.models import Entity, RemoteEntry, Source
from catalog.refs import LocationRef
from catalog.services.sources import create_source
from portal.access.viewer import Viewer
from portal.connections.gates import ConnectionGate
from portal.connections.selectors import host_configs
from portal.core.errors import CallboardError, InputError

REASON = "a migration is about all that a source brought"
REGISTER, REGISTERED, KNOWN, CANNOT = "register", "registered", "known", "cannot"


@dataclass(slots=True)
class Move:
    """One location that is registered there.

    Attributes:
        entities: that came here from it by way of the other instance.
        outcome: ``register`` (would be), ``registered`` (was now), ``known`` (is a source already) or ``cannot``.
        reason: why not; or the name of the source.
    """

    location: str
    entities: int
    outcome: str
    reason: str = ""


@dataclass(slots=True)
class Migration:
    """What moving comes to.

    Attributes:
        moves: every registered location.
        remaining: origins of entities that are registered nowhere there, such as the instance's own configuration, with
            the number of their entities.
        own: entities of the other instance that a source of our own has by now; they stay when it goes.
        left: entities that would go with it.
    """

    moves: list[Move] = field(default_factory=list)
    remaining: dict[str, int] = field(default_factory=dict)
    own: int = 0
    left: int = 0


def migrate_remote(*, actor: Viewer, source: Source, apply: bool = False) -> Migration:
    """Look at what is registered at the other instance, and register it here.

    A source that is made by this outranks the other instance by one, so that it takes over the entities under the uid
    that they have here. Nothing is removed: that is what removing ``source`` does, at the end.

    Args:
        apply: register; else only look.

    Raises:
        InputError: ``source`` is no other instance.
        CallboardError: its locations cannot be read.
    """
    if source.type != Source.Type.REMOTE:
        raise InputError(
            f"{source.name} is not another instance.",
            code="catalog.source.not-remote",
            remedy="Name a source of the type remote; `manage.py source list` shows them.",
        )
    with ReadSession(hosts=host_configs(), gate=ConnectionGate()) as session:
        locations = RemoteCatalog(session, source.target, filters_of(source.pattern)).locations()
    migration = Migration()
    counts = _entities_by_origin(source)
    with transaction.atomic():
        for location in dict.fromkeys(locations):
            migration.moves.append(_move(actor, source, location, counts.pop(str(location), 0), apply))
    migration.remaining = {
        origin or "(not said)": n
        for origin, n in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    }
    conflicts = RemoteEntry.objects.unrestricted(REASON).filter(source=source, outcome=CONFLICT).count()
    migration.own = conflicts
    migration.left = (
        Entity.objects.unrestricted(REASON).filter(source=source).exclude(ref=source.entity_ref).count()
    )
    return migration


def _entities_by_origin(source: Source) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    rows = RemoteEntry.objects.unrestricted(REASON).filter(source=source, outcome__in=(TAKEN, CONFLICT))
    for origin in rows.values_list("origin", flat=True).iterator():
        counts[origin] += 1
    return counts


def _move(actor: Viewer, source: Source, location: LocationRef, entities: int, apply: bool) -> Move:
    move = Move(str(location), entities, REGISTER)
    if location.type != "url":
        move.outcome = CANNOT
        move.reason = (
            "It is a file on the disk of that instance; register the repository that the file comes from."
            if location.type == "file"
            else f"Locations of type {location.type} are read by a plugin there; register what it finds."
        )
        return move
    known = Source.objects.unrestricted(REASON).filter(target=location.target).exclude(pk=source.pk)
    if (name := known.values_list("name", flat=True).first()) is not None:
        move.outcome, move.reason = KNOWN, name
        return move
    if not apply:
        return move
    try:
        made = create_source(
            actor=actor,
            target=location.target,
            # What stock clients find registered there they find registered here.
            registered_by=Source.RegisteredBy.API,
            allowed_kinds=source.allowed_kinds,
            priority=source.priority - 1,
        )
    except SourceTakenError as error:
        move.outcome, move.reason = KNOWN, error.message
    except CallboardError as error:
        move.outcome, move.reason = CANNOT, error.message
    else:
        move.outcome, move.reason = REGISTERED, made.name
    return move
