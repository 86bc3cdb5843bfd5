"""How many entities have each value of a key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count
from django.db.models.functions import Lower

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


def count_values(
    entities: EntityQuerySet, keys: Iterable[str], dictionary: Dictionary, *, narrowed: bool
) -> dict[str, list[FacetCount]]:
    """Counts for each key (lower case, or a word of ``COLUMNS``), sorted by value; one or two statements a kind of key.

    Args:
        dictionary: has learned the keys.
        narrowed: whether ``entities`` leaves any out; if not, they need not be looked at.
    """
    found: dict[str, list[FacetCount]] = {}
    numbers: dict[int, str] = {}
    relations: list[str] = []
    for key in dict.fromkeys(keys):
        if key in COLUMNS:
            found[key] = _count_column(entities, key)
        elif key == UID:
            uids = sorted(str(uid) for uid in entities.values_list("uid", flat=True))
            found[key] = [FacetCount(uid, 1) for uid in uids]
        elif key.startswith(RELATION):
            relations.append(key)
        else:
            found[key] = []
            number = dictionary.key(key)
            if number is not None:
                numbers[number] = key
    if numbers:
        found.update(_count_attributes(entities, numbers, narrowed))
    if relations:
        found.update(_count_relations(entities, relations))
    return found


def _count_attributes(
    entities: EntityQuerySet, numbers: dict[int, str], narrowed: bool
) -> dict[str, list[FacetCount]]:
    rows = attributes().filter(key__in=list(numbers), value__gt=NO_VALUE)
    if narrowed:
        rows = rows.filter(entity__in=entities.values("pk"))
    counted = list(rows.values_list("key", "value").annotate(count=Count("*")).order_by())
    texts = _texts({value for _, value, _ in counted})
    found: dict[str, list[FacetCount]] = {key: [] for key in numbers.values()}
    for number, value, count in counted:
        if value in texts:
            found[numbers[number]].append(FacetCount(texts[value], count))
    for values in found.values():
        values.sort(key=_by_value)
    return found


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


def _count_column(entities: EntityQuerySet, name: str) -> list[FacetCount]:
    column = COLUMNS[name]
    counted = entities.values_list(column).annotate(count=Count("*")).order_by()
    return sorted((FacetCount(_column_text(value), count) for value, count in counted), key=_by_value)


def _column_text(value: Any) -> str:
    """As the filters of the portal write it; the empty text stands for no value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _by_value(counted: FacetCount) -> str:
    return counted.value
