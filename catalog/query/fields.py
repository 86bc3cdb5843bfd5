"""Projection: only the paths that ``fields`` names (catalog API, fields)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from portal.core.errors import InputError

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Projection:
    """The paths to keep, as written."""

    paths: tuple[str, ...]

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        """A new document with what is there of the paths; values are shared with the old one."""
        kept: dict[str, Any] = {}
        for path in self.paths:
            steps, value = _find(document, path)
            if value is not _MISSING:
                _put(kept, steps, value)
        return kept

    def text(self, document: str | bytes) -> str:
        """The same for JSON text."""
        return orjson.dumps(self.apply(orjson.loads(document))).decode()


def parse_fields(texts: Iterable[str]) -> Projection | None:
    """Read comma-separated paths; None where none is named, which means the whole entity.

    Raises:
        InputError: ``catalog.fields.bracket``: elements of lists have no such path.
    """
    paths = tuple(dict.fromkeys(path for text in texts for part in text.split(",") if (path := part.strip())))
    for path in paths:
        if "[" in path:
            raise InputError(
                f"Invalid field {path!r}: lists have no paths with brackets.",
                code="catalog.fields.bracket",
                remedy="Name the list itself.",
            )
    return Projection(paths) if paths else None


def value_at(document: dict[str, Any], path: str) -> Any:
    """What stands at ``path``, or None."""
    _, value = _find(document, path)
    return None if value is _MISSING else value


def _find(document: dict[str, Any], path: str) -> tuple[list[str | int], Any]:
    """Follow ``path``. A key may hold dots: a part that is no key is tried together with the next one."""
    steps: list[str | int] = []
    value: Any = document
    part: str | None = None
    rest = path.split(".")
    for i, piece in enumerate(rest):
        part = piece if part is None else f"{part}.{piece}"
        step, inner = _step(value, part)
        if inner is not _MISSING:
            steps.append(step)
            value, part = inner, None
        elif i == len(rest) - 1:
            return steps, _MISSING
    return steps, value


def _step(value: Any, part: str) -> tuple[str | int, Any]:
    if isinstance(value, dict):
        return part, value.get(part, _MISSING)
    if (
        isinstance(value, list)
        and part.isascii()
        and part.isdigit()
        and str(int(part)) == part
        and int(part) < len(value)
    ):
        return int(part), value[int(part)]
    return part, _MISSING


def _put(kept: dict[str, Any], steps: list[str | int], value: Any) -> None:
    """Set ``value`` at ``steps``, making objects and lists on the way; containers of the source are never changed."""
    at: Any = kept
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if following is None:
            inner = value
        else:
            inner = _own(at, step, list if isinstance(following, int) else dict)
        if isinstance(at, list) and isinstance(step, int):
            at.extend([None] * (step + 1 - len(at)))
        at[step] = inner
        at = inner


def _own(at: Any, step: str | int, kind: type) -> Any:
    """A copy of the container that stands at ``step`` already, or a new one."""
    if isinstance(at, list) and isinstance(step, int):
        there = at[step] if step < len(at) else None
    else:
        there = at.get(step)
    return kind(there) if isinstance(there, kind) else kind()
