"""How many entities have each value of a key."""
# ruff: noqa: S608  (tables, columns and operators are our own words; what was asked travels beside the text as values)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from catalog.models.attribute import NO_VALUE
from catalog.query.compile import COMPARABLE
from catalog.query.conditions import COLUMNS
from catalog.query.dictionary import RELATION, UID, Dictionary
from catalog.query.frame import NOW, Frame
from catalog.query.freshness import group_columns
from catalog.query.references import FOUND, NOTHING, pointing_to_nothing
from catalog.query.sql import TRUE, Sql, concat, fetch, join, one_of, uid_as_text

_CHOSEN = ", ".join(
    f"e.{column}" for column in ("id", "ref", "uid", "kind", "confirmed_at", *COLUMNS.values())
)


@dataclass(frozen=True, slots=True)
class FacetCount:
    """A value as it is written, and the number of entities that have it."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class FacetGroup:
    """Keys that are counted over the same entities.

    Attributes:
        condition: which entities ``e`` count.
        keys: lower case, or words of ``COLUMNS`` and ``DERIVED``.
    """

    condition: Sql
    keys: tuple[str, ...]


def count_values(
    groups: Sequence[FacetGroup], dictionary: Dictionary, frame: Frame = NOW
) -> list[dict[str, list[FacetCount]]]:
    """Counts for each key of each group, sorted by value. One statement for all of them together.

    Args:
        dictionary: has learned the keys.
        frame: the tables that are asked.
    """
    found: list[dict[str, list[FacetCount]]] = []
    tables: list[Sql] = []
    parts: list[Sql] = []
    names: dict[str, str] = {}
    for place, group in enumerate(groups):
        found.append({key: [] for key in group.keys})
        entities = "catalog_entity"
        if group.condition is not TRUE:
            entities = f"g{place:d}"
            chosen = concat(
                f"{entities} AS MATERIALIZED (SELECT {_CHOSEN} FROM catalog_entity e WHERE ",
                group.condition,
                ")",
            )
            tables.append(chosen)
        numbers: list[int] = []
        types: list[str] = []
        for key in group.keys:
            if key in COLUMNS:
                parts.append(_column(place, key, entities))
            elif key == "refs":
                parts.append(_references(place, entities, dictionary))
            elif key == "fresh":
                parts.append(_confirmations(place, entities))
            elif key == UID:
                parts.append(_uids(place, entities))
            elif key.startswith(RELATION):
                written = dictionary.types(key.removeprefix(RELATION))
                types += written
                names.update((RELATION + kind, key) for kind in written)
            elif (number := dictionary.key(key)) is not None:
                numbers.append(number)
                names[str(number)] = key
        if numbers:
            parts.append(_attributes(place, numbers, entities))
        if types:
            parts.append(_relations(place, types, entities))
    chosen_once = concat("WITH ", join(",", tables), " ") if tables else ""
    statement = frame.around(concat(chosen_once, join("UNION ALL", parts)))
    for place, key, value, count in fetch(statement) if parts else ():
        name = names.get(key, key)
        found[place][name].append(FacetCount(_text(name, value), count))
    for counted in found:
        for counts in counted.values():
            counts.sort(key=_by_value)
    return found


def _attributes(place: int, numbers: list[int], entities: str) -> Sql:
    """Counted as integers; only the few that are left are looked up as texts."""
    narrowed = "" if entities == "catalog_entity" else f" JOIN {entities} e ON e.id = a.entity_id"
    return concat(
        f"SELECT {place:d}, CAST(c.key_id AS text), "
        "(SELECT v.text FROM catalog_attributevalue v WHERE v.id = c.value_id), c.n FROM ("
        f"SELECT a.key_id, a.value_id, COUNT(*) AS n FROM catalog_entityattribute a{narrowed} WHERE ",
        one_of("a.key_id", numbers),
        f" AND a.value_id > {NO_VALUE} GROUP BY a.key_id, a.value_id) c",
    )


def _relations(place: int, types: list[str], entities: str) -> Sql:
    """A relation may be declared by both ends, and its source need not be an entity."""
    return concat(
        f"SELECT {place:d}, '{RELATION}' || r.type, r.target_ref, COUNT(DISTINCT r.source_ref) "
        f"FROM catalog_relation r JOIN {entities} e ON e.ref = r.source_ref WHERE ",
        one_of("r.type", types),
        f"{COMPARABLE} GROUP BY r.type, r.target_ref",
    )


def _column(place: int, name: str, entities: str) -> Sql:
    column = f"e.{COLUMNS[name]}"
    selected = uid_as_text(column) if name == "source" else f"CAST({column} AS text)"
    return Sql(f"SELECT {place:d}, '{name}', {selected}, COUNT(*) FROM {entities} e GROUP BY {column}")


def _references(place: int, entities: str, dictionary: Dictionary) -> Sql:
    nothing = pointing_to_nothing(dictionary.scope, "e")
    return concat(
        f"SELECT {place:d}, 'refs', x.value, COUNT(*) FROM (SELECT CASE WHEN ",
        nothing,
        f" THEN '{NOTHING}' ELSE '{FOUND}' END AS value FROM {entities} e) x GROUP BY x.value",
    )


def _confirmations(place: int, entities: str) -> Sql:
    """In groups that can be judged at any time: see ``freshness.read_group``."""
    return Sql(
        f"SELECT {place:d}, 'fresh', x.value, COUNT(*) FROM "
        f"(SELECT {group_columns('e')} AS value FROM {entities} e) x GROUP BY x.value"
    )


def _uids(place: int, entities: str) -> Sql:
    return Sql(f"SELECT {place:d}, '{UID}', {uid_as_text('e.uid')}, 1 FROM {entities} e")


def _text(name: str, value: str | None) -> str:
    """As the filters of the portal write it; the empty text stands for no value."""
    if value is None:
        return ""
    if name == "errors":
        return "true" if value in ("1", "true") else "false"  # SQLite keeps 0 and 1
    return value


def _by_value(counted: FacetCount) -> str:
    return counted.value
