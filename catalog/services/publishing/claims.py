"""Who was first, where sources of the same priority declare one entity.

A source that loses, or that takes an entity over, has a claim from the moment at which it first declared it, for as
long as it does. Whoever reads first after a winner went away has the entity for a moment; in the end it is with the
earliest claim, in whichever order the others were read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from catalog.models import Claim, Entity, Source

T = TypeVar("T")
REASON = "claims are compared whoever may see them"
_PART = 2_000


class Held(Protocol):
    """An entity as it is stored."""

    @property
    def id(self) -> int: ...
    @property
    def ref(self) -> str: ...
    @property
    def source_id(self) -> UUID | None: ...


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _PART):
        yield items[start : start + _PART]


def note_taken(source: Source | None, rows: Iterable[Held], now: datetime) -> None:
    """Keep the claims of both sides of a takeover, in the transaction that writes it and before it does."""
    taken = {row.id for row in rows if source is not None and row.source_id not in (None, source.pk)}
    for part in _parts(sorted(taken)):
        before = Entity.objects.unrestricted(REASON).filter(pk__in=part)
        found = list(before.values_list("ref", "source_id", "created_at"))
        claims = [Claim(source_id=owner, entity_ref=ref, since=at) for ref, owner, at in found]
        claims += [Claim(source=source, entity_ref=ref, since=now) for ref, _, _ in found]
        Claim.objects.bulk_create(claims, batch_size=500, ignore_conflicts=True)


def note_claims(
    source: Source, *, lost: Iterable[str], declared: Iterable[str] | None, now: datetime
) -> None:
    """Keep the claims of a reading, in its closing transaction.

    Args:
        lost: what it declares and others have.
        declared: everything it declares; what is not among it is no longer claimed. None where nobody knows, because
            something could not be read.
    """
    if declared is not None:
        kept = set(declared)
        rows = Claim.objects.unrestricted(REASON).filter(source=source)
        over = [pk for pk, ref in rows.values_list("pk", "entity_ref") if ref not in kept]
        for part in _parts(over):
            Claim.objects.unrestricted(REASON).filter(pk__in=part).delete()
    claims = [Claim(source=source, entity_ref=ref, since=now) for ref in sorted(lost)]
    Claim.objects.bulk_create(claims, batch_size=500, ignore_conflicts=True)


def claimed_earlier(source: Source, rows: Sequence[Held]) -> set[str]:
    """Which of these entities of others ``source`` declared before those who have them now."""
    earlier: set[str] = set()
    for part in _parts([row.ref for row in rows]):
        claims = Claim.objects.unrestricted(REASON).filter(entity_ref__in=part)
        since: dict[tuple[UUID, str], datetime] = {
            (owner, ref): at for owner, ref, at in claims.values_list("source_id", "entity_ref", "since")
        }
        mine = {ref for owner, ref in since if owner == source.pk}
        held = Entity.objects.unrestricted(REASON).filter(ref__in=mine)
        for ref, owner, created in held.values_list("ref", "source_id", "created_at"):
            if since[source.pk, ref] < since.get((owner, ref), created):
                earlier.add(ref)
    return earlier
