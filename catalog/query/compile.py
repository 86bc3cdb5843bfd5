"""Conditions as SQL over ``catalog_entity``."""
# ruff: noqa: S608  (tables, columns and operators are our own words; what was asked travels beside the text as values)

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import BooleanField, F, Func

from catalog.models.attribute import NO_VALUE
from catalog.query.conditions import (
    COLUMNS,
    DERIVED,
    All,
    Among,
    AnyOf,
    Column,
    Condition,
    Contains,
    Has,
    Keys,
    Not,
    Related,
    Stands,
    StartsWith,
    Valued,
    leaves,
)
from catalog.query.dictionary import (
    ENTITY_COLUMNS,
    NAME,
    RELATION,
    RELATION_COLUMNS,
    TEXT_COLUMNS,
    TITLE,
    UID,
    Dictionary,
    is_storable,
)
from catalog.query.freshness import STALE, stale_condition
from catalog.query.references import NOTHING, pointing_to_nothing
from catalog.query.sql import FALSE, TRUE, Sql, concat, join, like, one_of, parse_uid, uid_as_text, uid_value

#: Longer values are in the index without their text.
LONGEST_VALUE = 200
INDEXED = re.compile(r"[^\W_]{3}")
POSITION = {"postgresql": "strpos", "sqlite": "instr"}
_NEGATED = {"TRUE": FALSE, "FALSE": TRUE}


def compile_condition(condition: Condition, dictionary: Dictionary, alias: str = "e") -> Sql:
    """An expression that is true for the rows of ``alias`` that fit, and never null.

    Args:
        dictionary: has learned what the condition compares.
        alias: of ``catalog_entity`` in the statement.
    """
    match condition:
        case All(parts):
            return _combine([compile_condition(part, dictionary, alias) for part in parts], every=True)
        case AnyOf(parts):
            return _combine([compile_condition(part, dictionary, alias) for part in parts], every=False)
        case Not(part):
            inner = compile_condition(part, dictionary, alias)
            return _NEGATED.get(inner.text) or concat("NOT (", inner, ")")
        case Has(key):
            return _has(key, dictionary, alias, valued=False)
        case Valued(key):
            return _has(key, dictionary, alias, valued=True)
        case Among(key, values):
            return _among(key, tuple(filter(is_storable, values)), dictionary, alias)
        case StartsWith(key, text):
            return _matching((key,), text, dictionary, alias, anywhere=False)
        case Contains(keys, text):
            return _matching(keys, text, dictionary, alias, anywhere=True)
        case Related(kind, targets):
            return _related(kind, targets, dictionary, alias)
        case Column(name, values) if name in DERIVED:
            return _derived(name, values, dictionary, alias)
        case Column(name, values):
            return _column(name, values, alias)
        case Stands(name, values):
            return _stands(f"{alias}.{name}", values)
        case Keys(keys):
            return one_of(f"{alias}.id", keys)


def _combine(parts: list[Sql], *, every: bool) -> Sql:
    """AND or OR, without the parts that say nothing."""
    decisive, empty = (FALSE, TRUE) if every else (TRUE, FALSE)
    if any(part.text == decisive.text for part in parts):
        return decisive
    kept = [part for part in parts if part.text != empty.text]
    if len(kept) < 2:
        return kept[0] if kept else empty
    return concat("(", join("AND" if every else "OR", kept), ")")


def _attribute(alias: str, key: int, narrower: Sql | str = "") -> Sql:
    start = (
        f"EXISTS (SELECT 1 FROM catalog_entityattribute a WHERE a.entity_id = {alias}.id AND a.key_id = %s"
    )
    return concat(Sql(start, (key,)), narrower, ")")


def _relation(alias: str, kind: str, dictionary: Dictionary, narrower: Sql | str = "") -> Sql:
    types = one_of("r.type", dictionary.types(kind))
    if types is FALSE:
        return FALSE
    start = f"EXISTS (SELECT 1 FROM catalog_relation r WHERE r.source_ref = {alias}.ref AND "
    return concat(start, types, narrower, ")")


COMPARABLE = f" AND LENGTH(r.target_ref) <= {LONGEST_VALUE}"


def _has(key: str, dictionary: Dictionary, alias: str, *, valued: bool) -> Sql:
    if key in ENTITY_COLUMNS or key == UID:
        return TRUE
    if key.startswith(RELATION):
        kind = key.removeprefix(RELATION)
        return _relation(alias, kind, dictionary, COMPARABLE if valued else "")
    number = dictionary.key(key)
    if number is None:
        return FALSE
    return _attribute(alias, number, f" AND a.value_id > {NO_VALUE}" if valued else "")


def _among(key: str, values: tuple[str, ...], dictionary: Dictionary, alias: str) -> Sql:
    if key in ENTITY_COLUMNS:
        return one_of(f"{alias}.{ENTITY_COLUMNS[key]}", values)
    if key == UID:
        return one_of(f"{alias}.uid", [uid_value(uid) for uid in map(parse_uid, values) if uid])
    if key.startswith(RELATION):
        return _related(key.removeprefix(RELATION), values, dictionary, alias)
    number = dictionary.key(key)
    numbers = one_of("a.value_id", sorted({n for value in values for n in dictionary.value(value)}))
    if number is None or numbers is FALSE:
        return FALSE
    indexed = _attribute(alias, number, concat(" AND ", numbers))
    if key not in TEXT_COLUMNS:
        return indexed
    # The row is read anyway; the index is only asked where its column says nothing.
    column = f"{alias}.{TEXT_COLUMNS[key]}"
    return _combine(
        [_is_one_of(column, values), concat(f"({column} IS NULL AND ", indexed, ")")], every=False
    )


def _matching(keys: Sequence[str], text: str, dictionary: Dictionary, alias: str, *, anywhere: bool) -> Sql:
    """A value of one of the keys begins with the text, or has it anywhere."""
    if not is_storable(text):
        return FALSE
    pattern = like(text, anywhere=anywhere)
    found: list[Sql] = []
    numbers: list[int] = []
    labelled = anywhere and NAME in keys and TITLE in keys
    for key in keys:
        if key == TITLE and labelled:
            found.append(_label_containing(text, dictionary, alias))
        elif key == NAME and anywhere:
            found.append(_containing(f"{alias}.name", text))
        elif key in ENTITY_COLUMNS:
            found.append(concat(f"{alias}.{ENTITY_COLUMNS[key]}", pattern))
        elif key == UID:
            found.append(concat(uid_as_text(f"{alias}.uid"), pattern))
        elif key.startswith(RELATION):
            narrower = concat(f"{COMPARABLE} AND r.target_ref", pattern)
            found.append(_relation(alias, key.removeprefix(RELATION), dictionary, narrower))
        elif (number := dictionary.key(key)) is not None:
            numbers.append(number)
    if numbers:
        # It does not look at the row outside, so that it is worked out once. (As EXISTS it took SQLite seconds.)
        inner = (
            f"{alias}.id IN (SELECT a.entity_id FROM catalog_attributevalue v "
            "JOIN catalog_entityattribute a ON a.value_id = v.id WHERE "
        )
        found.append(concat(inner, one_of("a.key_id", sorted(numbers)), " AND v.lower", pattern, ")"))
    return _combine(found, every=False)


def _label_containing(text: str, dictionary: Dictionary, alias: str) -> Sql:
    """For titles, where names are searched too: the column ``label`` holds either, and has an index for substrings.

    A long label may be (the beginning of) a title that is too long to be searched; lengths of values are in UTF-16.
    """
    titled = _has(TITLE, dictionary, alias, valued=True)
    whole = _combine([Sql(f"LENGTH({alias}.label) <= {LONGEST_VALUE // 2}"), titled], every=False)
    return concat(
        f"({alias}.label <> {alias}.name AND ", _containing(f"{alias}.label", text), " AND ", whole, ")"
    )


def names_letters(condition: Condition) -> bool:
    """Whether names are searched for letters with the index for substrings."""
    found = [leaf for leaf in leaves(condition) if isinstance(leaf, Contains)]
    return any(NAME in leaf.keys and INDEXED.search(leaf.term) for leaf in found)


def _containing(column: str, text: str) -> Sql:
    """For columns with an index for substrings. It knows runs of three letters: for shorter ones PostgreSQL would read
    all of it, where walking through the names in order soon finds some.
    """
    if INDEXED.search(text):
        return concat(column, like(text, anywhere=True))
    return Sql(f"{POSITION[connection.vendor]}({column}, %s) > 0", (text,))


def _related(kind: str, targets: tuple[str, ...] | None, dictionary: Dictionary, alias: str) -> Sql:
    if targets is None:
        return _relation(alias, kind, dictionary)
    comparable = [t for t in targets if len(t) <= LONGEST_VALUE and is_storable(t)]
    if comparable and dictionary.is_in_column(kind, comparable):
        return _is_one_of(f"{alias}.{RELATION_COLUMNS[kind][1]}", comparable)
    wanted = one_of("r.target_ref", comparable)
    return FALSE if wanted is FALSE else _relation(alias, kind, dictionary, concat(" AND ", wanted))


def _column(name: str, values: tuple[str, ...], alias: str) -> Sql:
    """The empty text stands for no value."""
    column = f"{alias}.{COLUMNS[name]}"
    named = one_of(column, _column_values(name, tuple(filter(None, values))))
    if "" in values:
        return _combine([named, Sql(f"{column} IS NULL")], every=False)
    return named if named is FALSE else _never_null(column, named)


def _stands(column: str, values: tuple[str, ...]) -> Sql:
    named = one_of(column, [value for value in values if value and is_storable(value)])
    if "" in values:
        return _combine([_never_null(column, named), Sql(f"{column} IS NULL")], every=False)
    return named if named is FALSE else _never_null(column, named)


def _is_one_of(column: str, values: Sequence[Any]) -> Sql:
    return _never_null(column, one_of(column, values))


def _never_null(column: str, expression: Sql) -> Sql:
    """So that it can be negated."""
    return concat(f"({column} IS NOT NULL AND ", expression, ")")


def _derived(name: str, values: tuple[str, ...], dictionary: Dictionary, alias: str) -> Sql:
    """Every entity has one of the two values; the first one's expression is turned round for the other."""
    wanted = set(values).intersection(DERIVED[name])
    if len(wanted) != 1:
        return TRUE if wanted else FALSE
    if name == "refs":
        first, expression = NOTHING, pointing_to_nothing(dictionary.scope, alias)
    else:
        first, expression = STALE, stale_condition(alias)
    return expression if wanted == {first} else concat("NOT (", expression, ")")


def _column_values(name: str, values: tuple[str, ...]) -> list[Any]:
    if name == "errors":
        return [value == "true" for value in values]
    if name == "source":
        return [uid_value(uid) for uid in map(parse_uid, values) if uid]
    storable = filter(is_storable, values)
    return [value.lower() if name in ("owner", "system") else value for value in storable]


class Matches(Func):
    """A condition for querysets of ``Entity``: ``Entity.objects.visible_to(viewer).filter(Matches(...))``."""

    output_field = BooleanField()
    conditional = True

    def __init__(self, condition: Condition, dictionary: Dictionary, narrower: Sql = TRUE) -> None:
        super().__init__(F("pk"))
        self.condition = condition
        self.dictionary = dictionary
        self.narrower = narrower

    def as_sql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, list[Any]]:  # type: ignore[override]  # needs none of Func's template
        key, _ = compiler.compile(self.source_expressions[0])
        alias = key.rpartition(".")[0]
        found = compile_condition(self.condition, self.dictionary, alias)
        if self.narrower is not TRUE:
            narrower = Sql(self.narrower.text.replace("e.", f"{alias}.", 1), self.narrower.values)
            found = concat("(", found, " AND ", narrower, ")")
        return found.text, list(found.values)
