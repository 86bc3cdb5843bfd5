"""JSON predicates, the ``query`` of POST bodies (catalog API, predicates), to conditions and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from catalog.query.conditions import (
    COLUMNS,
    NOTHING,
    WIDEST,
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
    all_of,
    any_of,
    leaves,
)
from portal.core.errors import InputError
from portal.core.yaml import js_number, js_string

DEEPEST = 40
MOST_PARTS = 4_000  # what the longest filter becomes in a cursor
RELATIONS = "relations"
_LOGIC = ("$all", "$any", "$not")
_REMEDY = (
    'Write {"field": value}, {"field": {"$exists": true}}, {"$in": [..]}, {"$hasPrefix": ".."}, {"$contains": ..}, '
    'or combine with {"$all": [..]}, {"$any": [..]}, {"$not": {..}}.'
)


def _refuse(message: str, where: str) -> InputError:
    return InputError(
        f"Invalid query at {where or 'its root'}: {message}", code="catalog.query.shape", remedy=_REMEDY
    )


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)  # bool is an int; null is none of them


def scalar_text(value: str | int | float | bool) -> str:
    """A scalar as the index holds it: JavaScript's text of it, lower case."""
    if isinstance(value, str):
        return value.lower()
    if isinstance(value, bool):
        return "true" if value else "false"
    return js_string(js_number(value)).lower()


def parse_predicate(value: Any) -> Condition:
    """Read a predicate.

    Raises:
        InputError: ``catalog.query.shape`` with the place in the predicate, ``catalog.query.size`` for one that is
            too deep or too long.
    """
    return _Reader().read(value, "", 0)


class _Reader:
    """One reading; counts what it reads."""

    def __init__(self) -> None:
        self.parts = 0

    def read(self, value: Any, where: str, depth: int) -> Condition:
        if not isinstance(value, dict):
            raise _refuse("an object is expected.", where)
        self.count(value, depth)
        logic = next((word for word in _LOGIC if word in value), None)
        if logic is None:
            return all_of(*(self.field(str(key), item, _at(where, str(key))) for key, item in value.items()))
        if len(value) > 1:
            others = ", ".join(sorted(str(key) for key in value if key != logic))
            raise _refuse(f"{logic} has to be the only key of its object, but there is {others} too.", where)
        inner = value[logic]
        here = _at(where, logic)
        if logic == "$not":
            return Not(self.read(inner, here, depth + 1))
        if not isinstance(inner, list):
            raise _refuse("a list is expected.", here)
        self.count(inner, depth)
        parts = [self.read(item, f"{here}[{i}]", depth + 1) for i, item in enumerate(inner)]
        return all_of(*parts) if logic == "$all" else any_of(*parts)

    def count(self, parts: dict[str, Any] | list[Any], depth: int) -> None:
        self.parts += len(parts)
        if depth > DEEPEST or len(parts) > WIDEST or self.parts > MOST_PARTS:
            raise InputError(
                f"The query is deeper than {DEEPEST} levels or has more than {WIDEST} parts in one place.",
                code="catalog.query.size",
                remedy="Use $in for lists of values, or ask in several requests.",
            )

    def field(self, name: str, value: Any, where: str) -> Condition:
        if name.startswith("$"):
            raise _refuse(f"{name} is no operator that stands here.", where)
        key = name.lower()
        if _is_scalar(value):
            return Among(key, (scalar_text(value),))
        if not isinstance(value, dict):
            raise _refuse("a text, number, boolean or an operator is expected.", where)
        for operator, read in self.operators:
            if operator in value:
                found = read(self, key, value[operator], where)
                if found is not None:
                    return found
        raise _refuse(
            f"{', '.join(map(str, value)) or 'an empty object'} is no operator with a value that fits.", where
        )

    def exists(self, key: str, value: Any, where: str) -> Condition | None:
        if not isinstance(value, bool):
            return None
        return Has(key) if value else Not(Has(key))

    def within(self, key: str, value: Any, where: str) -> Condition | None:
        if not isinstance(value, list) or not all(map(_is_scalar, value)):
            return None
        return Among(key, tuple(dict.fromkeys(map(scalar_text, value))))

    def contains(self, key: str, value: Any, where: str) -> Condition | None:
        if _is_scalar(value):
            return Among(key, (scalar_text(value),))
        if not isinstance(value, dict):
            return None
        if key != RELATIONS:
            raise _refuse(f"the object form of $contains is for {RELATIONS!r} only.", where)
        return self.relation(value, where)

    def relation(self, value: dict[str, Any], where: str) -> Condition:
        others = sorted(str(key) for key in value if key not in ("type", "targetRef"))
        if others:
            raise _refuse(f"a relation has a type and a targetRef, not {', '.join(others)}.", where)
        kind, target = value.get("type"), value.get("targetRef")
        if not isinstance(kind, str):
            raise _refuse("the relation needs a type.", where)
        if "targetRef" not in value:
            return Related(kind.lower())
        if isinstance(target, str):
            return Related(kind.lower(), (target.lower(),))
        if isinstance(target, dict) and list(target) == ["$in"] and isinstance(target["$in"], list):
            refs = target["$in"]
            if all(isinstance(ref, str) for ref in refs):
                return Related(kind.lower(), tuple(dict.fromkeys(ref.lower() for ref in refs)))
        raise _refuse('targetRef is a reference or {"$in": [references]}.', where)

    def prefix(self, key: str, value: Any, where: str) -> Condition | None:
        return StartsWith(key, value.lower()) if isinstance(value, str) else None

    # Stock takes the first operator of this order that fits and does not look at the others.
    operators: tuple[tuple[str, Callable[[_Reader, str, Any, str], Condition | None]], ...] = (
        ("$exists", exists),
        ("$in", within),
        ("$contains", contains),
        ("$hasPrefix", prefix),
    )


def _at(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def to_predicate(condition: Condition) -> dict[str, Any]:
    """The predicate that reads as ``condition``; how a cursor carries the question of its first page.

    Raises:
        ValueError: the condition holds what predicates have no word for (``Valued``, ``Contains``, ``Column``).
    """
    match condition:
        case Has(key) | Among(key) | StartsWith(key) if key.startswith("$"):
            return to_predicate(NOTHING)  # the filter grammar can ask for it, and no entity has such a key
        case Has(key):
            return {key: {"$exists": True}}
        case Among(key, values):
            return {key: values[0]} if len(values) == 1 else {key: {"$in": list(values)}}
        case StartsWith(key, prefix):
            return {key: {"$hasPrefix": prefix}}
        case Related(kind, targets):
            wanted: dict[str, Any] = {"type": kind}
            if targets is not None:
                wanted["targetRef"] = {"$in": list(targets)}
            return {RELATIONS: {"$contains": wanted}}
        case All(parts):
            return {"$all": [to_predicate(part) for part in parts]}
        case AnyOf(parts):
            return {"$any": [to_predicate(part) for part in parts]}
        case Not(part):
            return {"$not": to_predicate(part)}
        case Valued() | Contains() | Column() | Stands() | Keys():
            raise ValueError(
                f"{type(condition).__name__} cannot be written as a predicate (see {', '.join(COLUMNS)})"
            )


def matches_row(query: Any, row: Mapping[str, str]) -> bool:
    """Whether a predicate is true for a flat row of texts, compared in any case.

    Raises:
        InputError: the predicate is malformed, or asks for a field that ``row`` does not have.
    """
    condition = parse_predicate(query)
    for leaf in leaves(condition):
        key = getattr(leaf, "key", RELATIONS)
        if key not in {name.lower() for name in row}:
            raise InputError(
                f"{key!r} is no field of these rows.",
                code="catalog.query.field",
                remedy=f"Use one of {', '.join(row)}.",
            )
    return _is_true(condition, {name.lower(): value.lower() for name, value in row.items()})


def _is_true(condition: Condition, row: Mapping[str, str]) -> bool:
    match condition:
        case All(parts):
            return all(_is_true(part, row) for part in parts)
        case AnyOf(parts):
            return any(_is_true(part, row) for part in parts)
        case Not(part):
            return not _is_true(part, row)
        case Among(key, values):
            return row[key] in values
        case StartsWith(key, prefix):
            return row[key].startswith(prefix)
        case _:
            return isinstance(condition, Has)
