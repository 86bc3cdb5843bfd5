"""References to nothing: kept exact by whoever makes or ends one (decision 0012)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from catalog.models import Entity, MissingTarget, Relation
from catalog.services.publishing.plan import REASON, chunks


def recheck_targets(refs: Iterable[str], *, arrived: Collection[str] = ()) -> None:
    """Look anew which of ``refs`` are pointed to and are no entities, in the transaction that changed them.

    A relation is stored in both directions, so whatever is pointed to is the source of a row; a source that is no
    entity is a reference to nothing.

    Args:
        refs: entities that went, and both ends of relations that appeared or went.
        arrived: entities that appeared; among ``refs`` they need not be looked for.
    """
    if arrived and MissingTarget.objects.unrestricted(REASON).exists():
        for part in chunks(sorted(arrived)):
            MissingTarget.objects.unrestricted(REASON).filter(ref__in=part).delete()
    for part in chunks(sorted(set(refs).difference(arrived))):
        there = Entity.objects.unrestricted(REASON).filter(ref__in=part).values_list("ref", flat=True)
        absent = sorted(set(part).difference(there))
        rows = Relation.objects.unrestricted(REASON).filter(source_ref__in=absent)
        pointed = set(rows.order_by().values_list("source_ref", flat=True).distinct())
        stored = MissingTarget.objects.unrestricted(REASON).filter(ref__in=part)
        known = set(stored.values_list("ref", flat=True))
        if over := known - pointed:
            MissingTarget.objects.unrestricted(REASON).filter(ref__in=over).delete()
        MissingTarget.objects.bulk_create(
            [MissingTarget(ref=ref) for ref in sorted(pointed - known)], batch_size=500
        )
