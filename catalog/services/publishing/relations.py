"""Relations of a publication: what it declares, what is stored, what entities show of others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from catalog.ingest.collected import Declared
from catalog.models import Relation
from catalog.services.publishing.plan import REASON, chunks


def stored_relations(origins: list[int]) -> dict[tuple[int, str, str, str], int]:
    """Keys of what these entities declare as it is stored, by origin, source, type and target."""
    found = {}
    for part in chunks(origins):
        rows = Relation.objects.unrestricted(REASON).filter(origin_id__in=part)
        for pk, *key in rows.values_list("id", "origin_id", "source_ref", "type", "target_ref"):
            found[tuple(key)] = pk
    return found  # type: ignore[return-value]  # values_list has no shape for a starred target


class RelationMap:
    """All relations that a reading declares, by the entity that shows them."""

    def __init__(self, declared: Iterable[Declared]) -> None:
        self.refs: set[str] = set()
        self.by_source: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for item in declared:
            self.refs.add(item.ref)
            for source, kind, target in item.relations:
                self.by_source[source].add((kind, target))

    def of_others(self, refs: set[str], leaving: set[str]) -> dict[str, set[tuple[str, str, str]]]:
        """Stored relations (type, target, origin) that these references show, but for what this reading declares."""
        found: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
        for part in chunks(sorted(refs)):
            rows = Relation.objects.unrestricted(REASON).filter(source_ref__in=part)
            for ref, kind, target, origin in rows.values_list(
                "source_ref", "type", "target_ref", "origin__ref"
            ):
                if origin not in self.refs and origin not in leaving:
                    found[ref].add((kind, target, origin))
        return found
