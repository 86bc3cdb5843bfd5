"""Conditions as Django ``Q`` over ``Entity``."""

from __future__ import annotations

import uuid
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import CharField, Exists, F, Func, OuterRef, Q
from django.db.models.functions import Length, Lower
from django.db.models.lookups import Contains as ContainsLookup
from django.db.models.lookups import Exact, LessThanOrEqual
from django.db.models.lookups import StartsWith as StartsWithLookup

from catalog.models import EntityAttribute, Relation
from catalog.models.attribute import NO_VALUE
from catalog.query.conditions import (
    COLUMNS,
    All,
    Among,
    AnyOf,
    Column,
    Condition,
    Contains,
    Has,
    Not,
    Related,
    StartsWith,
    Valued,
)
from catalog.query.dictionary import ENTITY_COLUMNS, RELATION, UID, Dictionary, is_storable
from portal.access.querysets import RestrictedQuerySet

NARROWED = "read only for entities that are narrowed to the viewer"
#: Longer values are in the index without their text.
LONGEST_VALUE = 200
#: Recognised by identity: comparing two ``Q`` would read the subqueries inside.
NONE = Q(pk__in=())
EVERY = Q()


class UidText(Func):
    """A uid as text with dashes, on databases that keep it otherwise."""

    function = "CAST"
    template = "CAST(%(expressions)s AS text)"
    output_field = CharField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        sql, params = compiler.compile(self.source_expressions[0])
        pieces = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        text = " || '-' || ".join(f"substr({sql}, {start}, {length})" for start, length in pieces)
        return f"({text})", tuple(params) * len(pieces)


def attributes() -> RestrictedQuerySet[EntityAttribute]:
    """Attributes, to be narrowed by entities that the viewer may see."""
    return EntityAttribute.objects.unrestricted(NARROWED)


def relations() -> RestrictedQuerySet[Relation]:
    """Relations, to be narrowed in the same way."""
    return Relation.objects.unrestricted(NARROWED)


def compile_condition(condition: Condition, dictionary: Dictionary) -> Q:
    """The ``Q`` that is true for the entities that fit.

    Args:
        dictionary: has learned what the condition compares.
    """
    match condition:
        case All(parts):
            return _join([compile_condition(part, dictionary) for part in parts], every=True)
        case AnyOf(parts):
            return _join([compile_condition(part, dictionary) for part in parts], every=False)
        case Not(part):
            inner = compile_condition(part, dictionary)
            return EVERY if inner is NONE else NONE if inner is EVERY else ~inner
        case Has(key):
            return _has(key, dictionary, valued=False)
        case Valued(key):
            return _has(key, dictionary, valued=True)
        case Among(key, values):
            return _among(key, tuple(filter(is_storable, values)), dictionary)
        case StartsWith(key, text):
            return _matching(key, "startswith", text, dictionary)
        case Contains(keys, text):
            return _join([_matching(key, "contains", text, dictionary) for key in keys], every=False)
        case Related(kind, targets):
            return _related(kind, targets)
        case Column(name, values):
            return _column(name, values)


def _join(parts: list[Q], *, every: bool) -> Q:
    """AND or OR, without the parts that say nothing."""
    decisive, empty = (NONE, EVERY) if every else (EVERY, NONE)
    if any(part is decisive for part in parts):
        return decisive
    kept = [part for part in parts if part is not empty]
    return reduce(and_ if every else or_, kept) if kept else empty


def _attribute(**conditions: Any) -> Q:
    return Q(Exists(attributes().filter(entity=OuterRef("pk"), **conditions)))


def _has(key: str, dictionary: Dictionary, *, valued: bool) -> Q:
    if key in ENTITY_COLUMNS or key == UID:
        return EVERY
    if key.startswith(RELATION):
        rows = relations_of_type(key.removeprefix(RELATION))
        return Q(Exists(comparable(rows) if valued else rows))
    number = dictionary.key(key)
    if number is None:
        return NONE
    return _attribute(key=number, value__gt=NO_VALUE) if valued else _attribute(key=number)


def _among(key: str, values: tuple[str, ...], dictionary: Dictionary) -> Q:
    if not values:
        return NONE
    if key in ENTITY_COLUMNS:
        return _is_one_of(ENTITY_COLUMNS[key], values)
    if key == UID:
        return _is_one_of("uid", tuple(uid for uid in map(_uid, values) if uid))
    if key.startswith(RELATION):
        return _related(key.removeprefix(RELATION), values)
    number = dictionary.key(key)
    numbers = tuple(sorted({n for value in values for n in dictionary.value(value)}))
    if number is None or not numbers:
        return NONE
    return (
        _attribute(key=number, value=numbers[0])
        if len(numbers) == 1
        else _attribute(key=number, value__in=numbers)
    )


def _is_one_of(column: str, values: tuple[Any, ...]) -> Q:
    if not values:
        return NONE
    return Q((column, values[0])) if len(values) == 1 else Q((f"{column}__in", values))


def _matching(key: str, lookup: str, text: str, dictionary: Dictionary) -> Q:
    if not is_storable(text):
        return NONE
    if key in ENTITY_COLUMNS:
        return Q((f"{ENTITY_COLUMNS[key]}__{lookup}", text))
    if key == UID:
        of_text = StartsWithLookup if lookup == "startswith" else ContainsLookup
        return Q(of_text(UidText(F("uid")), text))
    if key.startswith(RELATION):
        rows = relations_of_type(key.removeprefix(RELATION))
        return Q(Exists(comparable(rows).filter(**{f"target_ref__{lookup}": text})))
    number = dictionary.key(key)
    return NONE if number is None else _attribute(**{"key": number, f"value__lower__{lookup}": text})


def _related(kind: str, targets: tuple[str, ...] | None) -> Q:
    if not is_storable(kind):
        return NONE
    rows = relations_of_type(kind)
    if targets is None:
        return Q(Exists(rows))
    wanted = [target for target in targets if len(target) <= LONGEST_VALUE and is_storable(target)]
    return Q(Exists(rows.filter(target_ref__in=wanted))) if wanted else NONE


def relations_of_type(kind: str) -> RestrictedQuerySet[Relation]:
    """Relations of the entity of the outer query; types are compared in lower case."""
    return relations().filter(Exact(Lower(F("type")), kind), source_ref=OuterRef("ref"))


def comparable(rows: RestrictedQuerySet[Relation]) -> RestrictedQuerySet[Relation]:
    """Only relations whose target is short enough to be compared."""
    return rows.filter(LessThanOrEqual(Length("target_ref"), LONGEST_VALUE))


def _uid(text: str) -> uuid.UUID | None:
    """The uid that is written as ``text``; other writings of it are other texts."""
    try:
        uid = uuid.UUID(text)
    except ValueError:
        return None
    return uid if str(uid) == text else None


def _column(name: str, values: tuple[str, ...]) -> Q:
    """The empty text stands for no value."""
    named = Q((f"{COLUMNS[name]}__in", _column_values(name, tuple(filter(None, values)))))
    return named | Q((f"{COLUMNS[name]}__isnull", True)) if "" in values else named


def _column_values(name: str, values: tuple[str, ...]) -> list[Any]:
    if name == "errors":
        return [value == "true" for value in values]
    if name == "source":
        return [uid for uid in map(_uid, values) if uid]
    return [value.lower() if name in ("owner", "system") else value for value in values]
