"""Telling a rename from a removal beside something new: then the entity keeps its uid, history and links.

Only within one source and one kind, and only where what went and what came are alike beyond chance:

1. the document stands at the same place of the same file, and at least half of what it said is the same; where that is
   only what many entities say, it has to be the only one of its file that went and came;
2. it stands elsewhere in the same file, and at least four fifths are the same;
3. it stands in another file, and everything but the name is the same.

For the second and third it has to say something of its own too: owner, type and lifecycle are what many say.

Where several would do, nothing is renamed: better a new entity than somebody else's history.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import orjson

from catalog.ingest.attributes import flatten
from catalog.ingest.collected import Declared
from catalog.models import EntityDocument
from catalog.services.publishing.plan import REASON, Plan, Row, chunks

HALF, MOST = 0.5, 0.8
#: Of an entity's name, its title and the place where it stands: what a rename or a move changes by itself.
_NAMES = frozenset(("metadata.name", "metadata.namespace", "metadata.title", "metadata.uid"))
_PLACES = "metadata.annotations.backstage.io/"
#: A Location is known by where it leads, not by what it says.
_NEVER = frozenset(("location",))
#: With fewer facts than this two entities are alike by chance.
LEAST = 3
_COMMON = frozenset(
    ("apiversion", "kind", "spec.type", "spec.lifecycle", "spec.owner", "spec.system", "spec.domain")
)
#: Facts of its own that an entity needs to be found again at another place.
LEAST_OWN = 2

Facts = frozenset[tuple[str, str | None]]


def find_renames(plan: Plan) -> None:
    """Take pairs of a removed row and an insert that are one entity out of ``plan`` and make them updates."""
    gone = [row for row in plan.removed if row.ref.partition(":")[0] not in _NEVER]
    came = [d for d in plan.inserts if d.kind.lower() not in _NEVER]
    if not gone or not came:
        return
    kinds = {row.ref.partition(":")[0] for row in gone} & {d.kind.lower() for d in came}
    gone = [row for row in gone if row.ref.partition(":")[0] in kinds]
    came = [d for d in came if d.kind.lower() in kinds]
    old = _stored_facts(gone)
    new = {d.ref: _facts(d.entity) for d in came}
    pairs: list[tuple[Row, Declared]] = []
    for step in (_same_place, _same_file, _any_file):
        found = step(gone, came, old, new)
        pairs += found
        taken_rows, taken_refs = {row.id for row, _ in found}, {d.ref for _, d in found}
        gone = [row for row in gone if row.id not in taken_rows]
        came = [d for d in came if d.ref not in taken_refs]
    if not pairs:
        return
    rows, refs = {row.id for row, _ in pairs}, {d.ref for _, d in pairs}
    plan.removed = [row for row in plan.removed if row.id not in rows]
    plan.inserts = [d for d in plan.inserts if d.ref not in refs]
    plan.updates += pairs
    plan.new -= refs


def _facts(entity: dict[str, Any]) -> Facts:
    return frozenset(
        (key, original)
        for key, _, original in flatten({k: v for k, v in entity.items() if k not in ("relations", "status")})
        if key not in _NAMES and not key.startswith(_PLACES)
    )


def _stored_facts(rows: Iterable[Row]) -> dict[int, Facts]:
    ids = [row.id for row in rows]
    found: dict[int, Facts] = {}
    for part in chunks(ids, 500):
        documents = EntityDocument.objects.unrestricted(REASON).filter(pk__in=part)
        found.update((pk, _facts(orjson.loads(text))) for pk, text in documents.values_list("pk", "text"))
    return found


def _likeness(one: Facts, other: Facts) -> float:
    most = max(len(one), len(other))
    return len(one & other) / most if most >= LEAST else 0.0


def _is_distinct(facts: Facts) -> bool:
    return sum(key not in _COMMON for key, _ in facts) >= LEAST_OWN


def _kind(row: Row) -> str:
    return row.ref.partition(":")[0]


def _same_place(
    gone: list[Row], came: list[Declared], old: dict[int, Facts], new: dict[str, Facts]
) -> list[tuple[Row, Declared]]:
    rows = {(row.url, row.document_index, _kind(row)): row for row in gone}
    went, arrived = Counter(row.url for row in gone), Counter(declared.url for declared in came)
    found = []
    for declared in came:
        row = rows.get((declared.url, declared.document, declared.kind.lower()))
        if row is None or _likeness(old.get(row.id, frozenset()), new[declared.ref]) < HALF:
            continue
        alone = went[declared.url] == 1 and arrived[declared.url] == 1
        if alone or _is_distinct(new[declared.ref]):
            found.append((row, declared))
    return found


def _same_file(
    gone: list[Row], came: list[Declared], old: dict[int, Facts], new: dict[str, Facts]
) -> list[tuple[Row, Declared]]:
    rows: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in gone:
        rows[row.url, _kind(row)].append(row)
    return _only_pairs(
        (row, declared)
        for declared in came
        for row in rows.get((declared.url, declared.kind.lower()), ())
        if _is_distinct(new[declared.ref])
        and _likeness(old.get(row.id, frozenset()), new[declared.ref]) >= MOST
    )


def _any_file(
    gone: list[Row], came: list[Declared], old: dict[int, Facts], new: dict[str, Facts]
) -> list[tuple[Row, Declared]]:
    rows: dict[tuple[str, Facts], list[Row]] = defaultdict(list)
    for row in gone:
        if _is_distinct(facts := old.get(row.id, frozenset())):
            rows[_kind(row), facts].append(row)
    return _only_pairs(
        (row, declared)
        for declared in came
        for row in rows.get((declared.kind.lower(), new[declared.ref]), ())
    )


def _only_pairs(candidates: Iterable[tuple[Row, Declared]]) -> list[tuple[Row, Declared]]:
    """Pairs of which neither half has another candidate."""
    by_row: dict[int, int] = defaultdict(int)
    by_ref: dict[str, int] = defaultdict(int)
    pairs = list(candidates)
    for row, declared in pairs:
        by_row[row.id] += 1
        by_ref[declared.ref] += 1
    return [(row, d) for row, d in pairs if by_row[row.id] == 1 and by_ref[d.ref] == 1]
