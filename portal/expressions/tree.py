"""An expression as a tree: what is checked, what it reads, and what becomes SQL are all taken from here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Value = str | bool | int | float | bytes | None


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal."""

    value: Value


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, such as ``entity.kind``, or that of a macro."""

    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """``of.name``; with ``test`` it is ``has(of.name)``."""

    of: Node
    name: str
    test: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function or operator by CEL's name: ``_&&_``, ``_==_``, ``@in``, ``startsWith``. A receiver comes first."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """``[a, b]``."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Other:
    """What a tree holds that no translation knows: a map, a message, a macro over a list."""

    what: str
    parts: tuple[Node, ...] = ()


Node = Constant | Name | Field | Call | ListOf | Other


def parts_of(node: Node) -> tuple[Node, ...]:
    """The nodes directly below one."""
    match node:
        case Field(of):
            return (of,)
        case Call(_, arguments):
            return arguments
        case ListOf(items):
            return items
        case Other(_, parts):
            return parts
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    pending = [node]
    while pending:
        one = pending.pop()
        yield one
        pending.extend(parts_of(one))
