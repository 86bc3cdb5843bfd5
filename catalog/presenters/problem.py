"""A problem with a descriptor, as a person mends it: the line as it is, and as it would be right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher

from catalog.models import Problem
from catalog.presenters.refs import RefView

#: Two lines that share less than this are not one line corrected, but one line with another to add.
SAME_LINE = 0.5


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a small diff. ``css`` is ``del``, ``add`` or empty; ``word`` says the same for a screen reader."""

    css: str
    word: str
    number: int | None
    pieces: tuple[Piece, ...]


def _pieces(matcher: SequenceMatcher[str], text: str, second: bool) -> tuple[Piece, ...]:
    pieces = []
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        start, end = (b1, b2) if second else (a1, a2)
        if start != end:
            pieces.append(Piece(text[start:end], tag != "equal"))
    return tuple(pieces)


def line_diff(before: str, after: str, number: int | None) -> list[DiffLine]:
    """The line as written and as it would be right; without ``after`` only the line as written.

    Where the two have little in common, ``after`` is a line that is missing: it is shown below the written one.
    """
    before, after = before[:400], after[:400]
    if not before and not after:
        return []
    if not after or before == after:
        return [DiffLine("", "line", number, (Piece(before),))]
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    if before and matcher.ratio() < SAME_LINE:
        return [
            DiffLine("", "line", number, (Piece(before),)),
            DiffLine("add", "add", None, (Piece(after),)),
        ]
    removed = [DiffLine("del", "now", number, _pieces(matcher, before, False))] if before else []
    return [*removed, DiffLine("add", "better", number, _pieces(matcher, after, True))]


@dataclass(frozen=True, slots=True)
class ProblemView:
    """A problem as the pages show it."""

    id: int
    level: str
    message: str
    rule: str
    remedy: str
    entity: RefView | None
    file_url: str
    file_name: str
    line: int | None
    column: int | None
    path: str
    value: str
    source_line: str
    corrected: str
    diff: list[DiffLine]
    first_seen_at: datetime
    last_seen_at: datetime


def file_name(url: str) -> str:
    """The last two parts of an address or path: enough to know the file, short enough for a list."""
    parts = [part for part in url.partition("?")[0].split("/") if part]
    return "/".join(parts[-2:]) or url


def at_line(url: str, line: int | None) -> str:
    """The address with the line anchor that Git hosts understand; others ignore it."""
    return f"{url}#L{line}" if line and url.startswith(("http://", "https://")) and "#" not in url else url


def problem_view(problem: Problem, entity: RefView | None) -> ProblemView:
    """``problem`` with its diff; ``entity`` is what it is about, where that is known."""
    return ProblemView(
        id=problem.pk,
        level="warn" if problem.severity == Problem.Severity.WARNING else "bad",
        message=problem.message,
        rule=problem.rule,
        remedy=problem.remedy,
        entity=entity,
        file_url=at_line(problem.url, problem.line),
        file_name=file_name(problem.url),
        line=problem.line,
        column=problem.column,
        path=problem.path,
        value=problem.value,
        source_line=problem.source_line,
        corrected=problem.corrected_line,
        diff=line_diff(problem.source_line, problem.corrected_line, problem.line),
        first_seen_at=problem.first_seen_at,
        last_seen_at=problem.last_seen_at,
    )


def refs_of(problems: Iterable[Problem]) -> set[str]:
    """The entities that problems are about."""
    return {problem.entity_ref for problem in problems if problem.entity_ref}
