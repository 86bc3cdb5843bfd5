"""A problem with a descriptor: what, where, and what to write instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from portal.core.yaml import Document, Place
from portal.core.yaml.scalars import core_scalar

Severity = Literal["error", "warning"]
_LONGEST_VALUE = 120
_PLAIN = re.compile(r"[A-Za-z0-9./][^\s,\[\]{}#]*")


@dataclass(frozen=True, slots=True)
class Fix:
    """How to repair the source line.

    Args:
        action: ``replace`` the value (or the key, where the problem is with the key) by the text, or ``add`` the text
            as a line inside the mapping.
        text: the new value as YAML, or the new line without indentation.
    """

    action: Literal["replace", "add"]
    text: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about one document.

    Args:
        rule: stable, dotted name such as ``catalog.format.tag``.
        message: names the field, the expected shape, the value and, once located, nothing else: the place is below.
        path: JSON pointer to the value (or key) in question.
        value: the offending value as JSON, shortened; empty when it is missing.
        severity: an ``error`` rejects the entity, a ``warning`` does not.
        error_name: the class that stock's answer names (``InputError``, ``TypeError``, ``Error``).
        remedy: what to do.
        at_key: the problem is with the key, not its value.
        fix: the repair, where one can be computed.
        url: the file.
        document: number of the document in the file, from 0.
        line, column: from 1; 0 when unknown.
        source_line: the line as written.
        corrected_line: the line as it could read, or the line to add.
    """

    rule: str
    message: str
    path: str = ""
    value: str = ""
    severity: Severity = "error"
    error_name: str = "InputError"
    remedy: str = ""
    at_key: bool = False
    fix: Fix | None = None
    url: str = ""
    document: int = 0
    line: int = 0
    column: int = 0
    source_line: str = ""
    corrected_line: str = ""

    def located(self, document: Document, url: str) -> Problem:
        """The same with place and corrected line, found by reading the document again."""
        adds = self.fix is not None and self.fix.action == "add"
        place = document.locate(self.path, key=self.at_key or adds)
        if place is None:
            return replace(self, url=url, document=document.index, line=document.first_line)
        return replace(
            self,
            url=url,
            document=document.index,
            line=place.line,
            column=place.column,
            source_line=place.source_line,
            corrected_line=self._corrected(document, place),
        )

    def _corrected(self, document: Document, place: Place) -> str:
        if self.fix is None:
            return ""
        text, line = self.fix.text, place.source_line
        if self.fix.action == "add":
            inside = document.locate(self.path) or place
            line, end = inside.source_line, inside.end_column
            if line[inside.column - 1 : inside.column] != "{":
                return f"{' ' * (inside.column - 1)}{text}"
            if not end:
                return ""
            before = line[: end - 2].rstrip()
            return f"{before}{'' if before.endswith('{') else ', '}{text}{line[end - 2 :]}"
        if not place.end_column:
            return ""
        old = line[place.column - 1 : place.end_column - 1]
        if old[:1] in ("'", '"') and text[:1] not in ("'", '"', "["):
            text = f"{old[0]}{text}{old[0]}"
        return f"{line[: place.column - 1]}{text}{line[place.end_column - 1 :]}"

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable form for records and answers."""
        result = asdict(self)
        del result["fix"], result["at_key"]
        return result


class Rejected(Exception):
    """The entity cannot be taken in.

    Args:
        problems: all of them, in the order in which stock would meet them; the first is what stock reports.
        ref: canonical reference of the entity when its name was readable.
    """

    def __init__(self, problems: Iterable[Problem], ref: str = "") -> None:
        self.problems = list(problems)
        self.ref = ref
        super().__init__("; ".join(problem.message for problem in self.problems))


def shorten(value: Any) -> str:
    """A value as JSON on one line, cut to what a message can carry."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        text = str(value)[: _LONGEST_VALUE * 2]
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def yaml_text(text: str) -> str:
    """A short text as YAML: in quotes where it would be read as something else."""
    plain = _PLAIN.fullmatch(text) is not None and isinstance(core_scalar(text), str)
    return text if plain else json.dumps(text, ensure_ascii=False)


def pointer(*parts: str | int) -> str:
    """A JSON pointer to a chain of keys and list positions."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)
