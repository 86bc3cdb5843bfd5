"""How many entities have each value of a key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, TextField, Value
from django.db.models.functions import Cast, Lower

from catalog.models import AttributeValue
from catalog.models.attribute import NO_VALUE
from catalog.query.compile import attributes, comparable, relations
from catalog.query.conditions import COLUMNS
from catalog.query.dictionary import RELATION, UID, Dictionary, is_storable
from catalog.querysets import EntityQuerySet

_TOGETHER = 10_000


@dataclass(frozen=True, slots=True)
class FacetCount:
    """A value as it is written, and the number of entities that have it."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class FacetGroup:
    """Keys that are counted over the same entities.

    Attributes:
        keys: lower case, or words of ``COLUMNS``.
        narrowed: whether ``entities`` leaves any out; if not, attributes need not look at them.
    """

    entities: EntityQuerySet
    keys: tuple[str, ...]
    narrowed: bool


def count_values(groups: Sequence[FacetGroup], dictionary: Dictionary) -> list[dict[str, list[FacetCount]]]:
    """Counts for each key of each group, sorted by value.

    Columns and attributes of all groups together take at most two statements, a uid or relations one more each.

    Args:
        dictionary: has learned the keys.
    """
    found: list[dict[str, list[FacetCount]]] = []
    parts: list[EntityQuerySet] = []
    for place, group in enumerate(groups):
        found.append({key: [] for key in group.keys})
        numbers = [number for key in group.keys if _is_attribute(key) and (number := dictionary.key(key)) is not None]
        if numbers:
            parts.append(_attributes_part(place, group, numbers))
        parts += [_column_part(place, group, key) for key in group.keys if key in COLUMNS]
        related = [key for key in group.keys if key.startswith(RELATION)]
        if related:
            found[place].update(_count_relations(group.entities, related))
        if UID in group.keys:
            uids = sorted(str(uid) for uid in group.entities.values_list("uid", flat=True))
            found[place][UID] = [FacetCount(uid, 1) for uid in uids]
    if parts:
        names = {number: key for key, number in dictionary.keys.items() if number is not None}
        _put_counts(found, parts, names)
    return found


def _is_attribute(key: str) -> bool:
    return key not in COLUMNS and key != UID and not key.startswith(RELATION)


def _part(rows: Any, place: int, key: Any, value: Any) -> Any:
    """Rows of (place of the group, key, value as text, count), all alike so that they fit into one statement."""
    named = rows.annotate(part=Value(place), part_key=key, part_value=value).order_by()
    return named.values_list("part", "part_key", "part_value").annotate(count=Count("*"))


def _attributes_part(place: int, group: FacetGroup, numbers: list[int]) -> Any:
    rows = attributes().filter(key__in=numbers, value__gt=NO_VALUE)
    if group.narrowed:
        rows = rows.filter(entity__in=group.entities.values("pk"))
    return _part(rows, place, Cast("key_id", TextField()), Cast("value_id", TextField()))


def _column_part(place: int, group: FacetGroup, name: str) -> Any:
    return _part(group.entities, place, Value(name, TextField()), Cast(COLUMNS[name], TextField()))


def _put_counts(found: list[dict[str, list[FacetCount]]], parts: list[Any], names: dict[int, str]) -> None:
    """Reads all parts at once; attributes come as the numbers of key and value, whose texts are read after them."""
    counted = list(parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0])
    texts = _texts({int(value) for _, key, value, _ in counted if key not in COLUMNS})
    for place, key, value, count in counted:
        if key in COLUMNS:
            found[place][key].append(FacetCount(_column_text(key, value), count))
        elif (text := texts.get(int(value))) is not None:
            found[place][names[int(key)]].append(FacetCount(text, count))
    for group in found:
        for values in group.values():
            values.sort(key=_by_value)


def _texts(numbers: Iterable[int]) -> dict[int, str]:
    wanted = list(numbers)
    texts: dict[int, str] = {}
    for start in range(0, len(wanted), _TOGETHER):
        rows = AttributeValue.objects.filter(pk__in=wanted[start : start + _TOGETHER])
        texts.update(rows.values_list("pk", "text"))
    return texts


def _count_relations(entities: EntityQuerySet, keys: Sequence[str]) -> dict[str, list[FacetCount]]:
    kinds = [kind for key in keys if is_storable(kind := key.removeprefix(RELATION))]
    rows = comparable(relations()).annotate(kind=Lower("type")).filter(kind__in=kinds)
    # Either end may be missing from the catalog, so the source has to be looked at even when nothing is narrowed.
    rows = rows.filter(source_ref__in=entities.values("ref"))
    counted = (
        rows.values_list("kind", "target_ref").annotate(count=Count("source_ref", distinct=True)).order_by()
    )
    found: dict[str, list[FacetCount]] = {key: [] for key in keys}
    for kind, target, count in counted:
        found[RELATION + kind].append(FacetCount(target, count))
    for values in found.values():
        values.sort(key=_by_value)
    return found


def _column_text(name: str, value: str | None) -> str:
    """As the filters of the portal write it; the empty text stands for no value."""
    if value is None:
        return ""
    if name == "errors":
        return "true" if value in ("1", "true") else "false"  # SQLite keeps 0 and 1
    return str(UUID(value)) if name == "source" else value


def _by_value(counted: FacetCount) -> str:
    return counted.value
