"""Expressions about entities, as conditions.

CEL has three answers: yes, no, and an error (a label that is not there has no value). So each node becomes two
conditions, one for yes and one for no; where neither matches it is an error, and a rule says nothing. Values are
compared in lower case, as everywhere in the catalog.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from catalog.query.conditions import (
    EVERYTHING,
    NOTHING,
    All,
    Among,
    AnyOf,
    Condition,
    Contains,
    Has,
    Not,
    Stands,
    StartsWith,
    all_of,
    any_of,
)
from portal.core.errors import InputError
from portal.expressions.cel import Environment, Program, Type, Variable
from portal.expressions.tree import Call, Constant, Field, ListOf, Name, Node

#: Values longer than this are in the index without their text.
LONGEST_VALUE = 200
#: Variable of a text -> column of the entity.
TEXTS = {
    "entity.kind": "kind",
    "entity.namespace": "namespace",
    "entity.name": "name",
    "entity.type": "type",
    "entity.lifecycle": "lifecycle",
    "entity.owner": "owner_ref",
    "entity.system": "system_ref",
}
NAMES = {"entity.kind": "kind", "entity.namespace": "metadata.namespace", "entity.name": "metadata.name"}
MAPS = {"entity.labels": "metadata.labels", "entity.annotations": "metadata.annotations"}
TAGS, OWNED, REF, GROUPS, CURATOR = (
    "entity.tags", "entity.owned", "viewer.ref", "viewer.groups", "viewer.curator",
)  # fmt: skip

ENTITIES = Environment(
    (
        Variable("entity.kind", Type.TEXT, "Such as 'component'."),
        Variable("entity.namespace", Type.TEXT, "Such as 'default'."),
        Variable("entity.name", Type.TEXT, "In lower case."),
        Variable("entity.type", Type.TEXT, "Such as 'service'; empty where it is none."),
        Variable("entity.lifecycle", Type.TEXT, "Such as 'production'; empty where it has none."),
        Variable("entity.owner", Type.TEXT, "Such as 'group:default/payments'; empty where it has none."),
        Variable("entity.system", Type.TEXT, "Such as 'system:default/shop'; empty where it has none."),
        Variable(TAGS, Type.TEXTS, "As in 'pci' in entity.tags."),
        Variable("entity.labels", Type.LABELS, "As in entity.labels['tier'] == '1'."),
        Variable("entity.annotations", Type.LABELS, "As in 'github.com/project-slug' in entity.annotations."),
        Variable(
            OWNED, Type.YES_OR_NO, "Whether the viewer or a group of theirs owns it, or its system or domain."
        ),
        Variable(REF, Type.TEXT, "The viewer's own identity, such as 'user:default/maren'."),
        Variable(GROUPS, Type.TEXTS, "References of the viewer's groups, and of those above them."),
        Variable(CURATOR, Type.YES_OR_NO, "Whether the viewer is staff."),
    ),
    code="access.rule",
)


@dataclass(frozen=True, slots=True)
class Asker:
    """What an expression may know of the viewer.

    Attributes:
        owned: entities that they own.
    """

    ref: str
    groups: tuple[str, ...]
    curator: bool
    owned: Callable[[], Condition]


class Answer(NamedTuple):
    """When a node says yes, and when no."""

    yes: Condition
    no: Condition

    def turned(self) -> Answer:
        return Answer(self.no, self.yes)


ALWAYS, NEVER = Answer(EVERYTHING, NOTHING), Answer(NOTHING, EVERYTHING)
_NOBODY = Asker("", (), False, lambda: NOTHING)


def check(program: Program) -> None:
    """Raises InputError: it says something that cannot be asked of the database."""
    condition_of(program, _NOBODY)


def condition_of(program: Program, asker: Asker) -> Condition:
    """Entities for which the expression says yes.

    Raises:
        InputError: ``access.rule.expression``: it says something that cannot be asked of the database.
    """
    return _answer(program.tree, asker).yes


def _answer(node: Node, asker: Asker) -> Answer:
    match node:
        case Constant(bool() as value):
            return ALWAYS if value else NEVER
        case Name("entity.owned"):
            owned = asker.owned()
            return Answer(owned, negated(owned))
        case Name("viewer.curator"):
            return ALWAYS if asker.curator else NEVER
        case Call("!_", (one,)):
            return _answer(one, asker).turned()
        case Call("_&&_", (one, other)):
            a, b = _answer(one, asker), _answer(other, asker)
            return Answer(both(a.yes, b.yes), either(a.no, b.no))
        case Call("_||_", (one, other)):
            a, b = _answer(one, asker), _answer(other, asker)
            return Answer(either(a.yes, b.yes), both(a.no, b.no))
        case Call("_?_:_", (condition, one, other)):
            c, a, b = (_answer(each, asker) for each in (condition, one, other))
            return Answer(
                either(both(c.yes, a.yes), both(c.no, b.yes)), either(both(c.yes, a.no), both(c.no, b.no))
            )
        case Call("_==_", (one, other)):
            return _equal(one, other, asker)
        case Call("_!=_", (one, other)):
            return _equal(one, other, asker).turned()
        case Call("@in", (one, other)):
            return _in(one, other, asker)
        case Call("startsWith" | "contains" as function, (Name(name), other)) if name in NAMES:
            text = _text(other, asker)
            key = NAMES[name]
            found: Condition = EVERYTHING
            if text:
                found = StartsWith(key, text) if function == "startsWith" else Contains((key,), text)
            return Answer(found, negated(found))
        case Field(Name(name), label, True) if name in MAPS:
            return _has(name, label)
        case _:
            raise _unknown(node)


def _equal(one: Node, other: Node, asker: Asker) -> Answer:
    left, right = _value(one, asker), _value(other, asker)
    if isinstance(left, str) and isinstance(right, str):
        return ALWAYS if left == right else NEVER
    if isinstance(left, bool) or isinstance(right, bool):
        flag, node = (left, other) if isinstance(left, bool) else (right, one)
        answer = _answer(node, asker)
        return answer if flag else answer.turned()
    if isinstance(left, str):
        left, right, one = right, left, other
    if not isinstance(right, str):
        raise _unknown(Call("_==_", (one, other)))
    return _is(one, (right,), asker)


def _in(one: Node, other: Node, asker: Asker) -> Answer:
    match other:
        case Name("viewer.groups"):
            values = asker.groups
        case ListOf(items):
            values = tuple(_text(item, asker) for item in items)
        case Name("entity.tags"):
            text = _text(one, asker)
            found = Among("metadata.tags", (text,)) if len(text) <= LONGEST_VALUE else NOTHING
            return Answer(found, negated(found))
        case Name(name) if name in MAPS:
            return _has(name, _text(one, asker))
        case _:
            raise _unknown(other)
    text_or_none = _value(one, asker)
    if isinstance(text_or_none, str):
        return ALWAYS if text_or_none in values else NEVER
    return _is(one, values, asker)


def _is(node: Node, values: tuple[str, ...], asker: Asker) -> Answer:
    """A text of the entity is one of these."""
    match node:
        case Name(name) if name in TEXTS:
            found: Condition = Stands(TEXTS[name], values) if values else NOTHING
            return Answer(found, negated(found))
        case Call("_[_]", (Name(name), key)) if name in MAPS:
            label = _text(key, asker)
        case Field(Name(name), label, False) if name in MAPS:
            pass
        case _:
            raise _unknown(node)
    path = f"{MAPS[name]}.{_lower(label)}"
    found = Among(path, values) if values else NOTHING
    return Answer(found, both(Has(path), negated(found)))


def _has(name: str, label: str) -> Answer:
    found = Has(f"{MAPS[name]}.{_lower(label)}")
    return Answer(found, negated(found))


def _value(node: Node, asker: Asker) -> str | bool | None:
    """What is known before any entity is looked at; None for the rest."""
    match node:
        case Constant(bool() as flag):
            return flag
        case Constant(str() as text):
            return _lower(text)
        case Name("viewer.ref"):
            return asker.ref
        case _:
            return None


def _text(node: Node, asker: Asker) -> str:
    value = _value(node, asker)
    if not isinstance(value, str):
        raise _unknown(node)
    return value


def _lower(text: str) -> str:
    if text != text.lower():
        raise ENTITIES.refuse(
            f"{text!r} never occurs: values are compared in lower case.", f"Write {text.lower()!r}."
        )
    if "\0" in text:
        raise ENTITIES.refuse("A text holds a NUL character.", "Leave it out.")
    return text


def _unknown(node: Node) -> InputError:
    """The error of what CEL can do and the database cannot be asked."""
    match node:
        case Call(function):
            what = f"{function.strip('_@')} is used on something else than a variable and a text"
        case Name(name) | Field(Name(name)):
            what = f"{name} stands where it cannot be compared"
        case Constant(value):
            what = f"{value!r} stands where no such value can be"
        case _:
            what = f"it holds {getattr(node, 'what', 'a list')}"
    return ENTITIES.refuse(
        f"{what}, which the database cannot be asked.",
        "Use ==, !=, in, has(), startsWith, contains, &&, ||, ! and ?: with variables and texts.",
    )


# --- conditions without needless parts


def both(one: Condition, other: Condition) -> Condition:
    if NOTHING in (one, other):
        return NOTHING
    return other if one == EVERYTHING else one if other == EVERYTHING else all_of(one, other)


def either(one: Condition, other: Condition) -> Condition:
    if EVERYTHING in (one, other):
        return EVERYTHING
    return other if one == NOTHING else one if other == NOTHING else any_of(one, other)


def negated(condition: Condition) -> Condition:
    match condition:
        case All(()):
            return NOTHING
        case AnyOf(()):
            return EVERYTHING
        case Not(part):
            return part
        case _:
            return Not(condition)


def facts_of(
    entity: Mapping[str, str], labels: Mapping[str, Mapping[str, str]], tags: list[str]
) -> dict[str, object]:
    """Values by variable for the engine, from what stands in the columns and in the index.

    Args:
        entity: columns of ``TEXTS``.
        labels: by variable of ``MAPS``.
    """
    return {**{name: entity.get(column) or "" for name, column in TEXTS.items()}, **labels, TAGS: tags}
