"""How an entity got here: itself, the Locations whose files declared it, and so on up to the registration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from catalog.models import Contender, Entity
from catalog.query.dictionary import is_storable
from catalog.query.scope import scope_of
from catalog.query.sql import Sql, fetch, join, one_of
from portal.access.viewer import Viewer

#: Longer than any chain of Locations; ends a circle.
LONGEST = 100
_CHAIN = """
WITH RECURSIVE up(id, parent_id, depth) AS (
    SELECT e.id, e.parent_id, 0 FROM catalog_entity e WHERE {start}
  UNION ALL
    SELECT e.id, e.parent_id, up.depth + 1 FROM catalog_entity e JOIN up ON e.id = up.parent_id WHERE up.depth < %s
)
SELECT id, parent_id FROM up ORDER BY depth
"""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One step: a document, and the references of what declared it, once for each time it did."""

    text: str
    parents: list[str]


def ancestry_of(viewer: Viewer, ref: str) -> list[Ancestor]:
    """The entity first, its root last; empty where the viewer may not see it. Three statements as a rule.

    What the viewer may not see is left out, as a step and as a parent.
    """
    texts: dict[str, str] = {}
    parents: dict[str, list[str]] = {}
    tried: set[str] = set()
    wanted = [ref] if is_storable(ref) else []
    while wanted:
        chain = _chain(wanted, scope_of(viewer).sql)
        rows = Entity.objects.visible_to(viewer).filter(pk__in=list(chain))
        seen = {
            number: (found, text) for number, found, text in rows.values_list("pk", "ref", "document__text")
        }
        again: dict[str, list[str]] = {}
        refs = [found for found, _ in seen.values()]
        others = Contender.objects.visible_to(viewer).filter(entity_ref__in=refs, same_file=True)
        for found, parent in others.order_by("pk").values_list("entity_ref", "parent_ref"):
            again.setdefault(found, []).append(parent)
        for number, parent_number in chain.items():
            if number in seen and seen[number][0] not in texts:
                found = seen[number][0]
                texts[found] = seen[number][1]
                own = [seen[parent_number][0]] if parent_number in seen else []
                parents[found] = [*own, *again.get(found, [])]
        # A file that a second Location names too has a second line of ancestors.
        tried.update(wanted)
        above = dict.fromkeys(parent for found in refs for parent in parents[found])
        wanted = [parent for parent in above if parent and parent not in texts and parent not in tried]
    if ref not in texts:
        return []
    return [Ancestor(text, [p for p in parents[found] if p in texts]) for found, text in texts.items()]


def _chain(refs: Sequence[str], seen: Sql) -> dict[int, int | None]:
    """Keys of these entities and of everything above them, nearest first, each with the key of its parent.

    Args:
        seen: which entities it may begin with: for one that is hidden nothing is asked that is not for one that is not
            there.
    """
    start = join("AND", (one_of("e.ref", list(refs)), seen))
    chain: dict[int, int | None] = {}
    for number, parent in fetch(Sql(_CHAIN.format(start=start.text), (*start.values, LONGEST))):
        chain.setdefault(number, parent)
    return chain
