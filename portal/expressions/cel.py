"""CEL, wherever a person writes logic: compiled once against the variables of its place, evaluated by the engine.

The language: https://github.com/google/cel-spec. An expression is checked when it is saved; what it reads and what
becomes SQL are taken from the same checked tree (``tree``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from portal.core.errors import InputError
from portal.expressions.tree import Name, Node, walk
from portal.expressions.wire import read_tree

LONGEST = 2_000


class Type(StrEnum):
    """Of a variable."""

    TEXT = "text"
    YES_OR_NO = "yes or no"
    TEXTS = "list of texts"
    LABELS = "texts by name"


_ENGINE_TYPES = {
    Type.TEXT: cel.Type.STRING,
    Type.YES_OR_NO: cel.Type.BOOL,
    Type.TEXTS: cel.Type.List(cel.Type.STRING),
    Type.LABELS: cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
}


@dataclass(frozen=True, slots=True)
class Variable:
    """What an expression may read.

    Attributes:
        name: as it is written, such as ``entity.kind``.
        help: one line for the person who writes one.
    """

    name: str
    type: Type
    help: str


class Environment:
    """The variables of one place where expressions are written.

    Args:
        code: begins the codes of its errors, such as ``access.rule``.
    """

    def __init__(self, variables: tuple[Variable, ...], *, code: str) -> None:
        self.variables = {variable.name: variable for variable in variables}
        self.code = code
        self._engine = cel.NewEnv(variables={v.name: _ENGINE_TYPES[v.type] for v in variables})
        self.compile = lru_cache(maxsize=1_000)(self._compile)

    def _compile(self, text: str) -> Program:
        """Check an expression that says yes or no.

        Raises:
            InputError: ``<code>.expression``: what is wrong, and where.
        """
        if len(text) > LONGEST:
            raise self.refuse(
                f"It has {len(text)} characters; at most {LONGEST} are allowed.", "Make it shorter."
            )
        try:
            compiled = self._engine.compile(text)
        except RuntimeError as error:  # the engine has no other
            raise self.refuse(_message(str(error)), self.known()) from None
        if compiled.return_type() != cel.Type.BOOL:
            raise self.refuse(
                f"It comes to a {compiled.return_type().name().lower()}, not to yes or no.",
                "Compare it with something, as in entity.kind == 'component'.",
            )
        return Program(text, read_tree(compiled.serialize()), compiled)

    def refuse(self, message: str, remedy: str) -> InputError:
        """The error of an expression that cannot be used here."""
        return InputError(
            f"The expression cannot be used: {message}", code=f"{self.code}.expression", remedy=remedy
        )

    def known(self) -> str:
        return f"There are {', '.join(self.variables)}."


@dataclass(frozen=True, slots=True)
class Program:
    """A checked expression.

    Attributes:
        tree: what it says, macros written out.
    """

    text: str
    tree: Node
    _compiled: Any = field(repr=False, compare=False)

    @property
    def reads(self) -> frozenset[str]:
        """Names of variables."""
        return frozenset(node.name for node in walk(self.tree) if isinstance(node, Name) and "." in node.name)

    def holds(self, facts: Mapping[str, object]) -> bool | None:
        """What it comes to for these values by variable; None where that is an error (a label that is not there)."""
        value = self._compiled.eval(data=dict(facts))
        return None if value.type() != cel.Type.BOOL else bool(value.value())


def _message(text: str) -> str:
    """What the engine says, as one sentence with its place."""
    found = re.search(r"<input>:(\d+):(\d+): (.*)", text)
    if found is None:
        return text.splitlines()[0][:300]
    line, column, what = found.groups()
    what = re.sub(r" \(in container ''\)", "", what)
    place = f"column {column}" if line == "1" else f"line {line}, column {column}"
    return f"{what[:300]} ({place})."
