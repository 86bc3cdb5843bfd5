"""A report of a preview as its page shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from catalog.diff import Change
from catalog.presenters.entity import as_yaml
from catalog.presenters.preview_text import place_text, sides, summary
from catalog.presenters.problem import DiffLine, at_line, line_diff
from catalog.presenters.refs import entity_url
from catalog.services.preview.report import Conflict, EntityChange, Finding, Reference, Report

#: Entities of which the page shows everything.
SHOWN = 200
#: What happens, its level and icon, in the order in which the page lists them.
GROUPS: Mapping[str, tuple[str, str, str]] = {
    "fail": ("Would fail", "bad", "bad"),
    "missing": ("Would be marked missing", "warn", "warn"),
    "remove": ("Would go", "warn", "trash"),
    "change": ("Would change", "info", "edit"),
    "rename": ("Would be renamed", "info", "arrow"),
    "move": ("Would move", "info", "arrow"),
    "appear": ("Would appear", "ok", "plus"),
}
_VERDICTS = {
    "ok": ("ok", "ok", "No objections"),
    "warning": ("warn", "warn", "Worth a look"),
    "error": ("bad", "bad", "Something would not be taken in"),
}


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One side of a difference. ``word`` says the sign for a screen reader."""

    css: str
    sign: str
    word: str
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class EntityView:
    ref: str
    url: str
    title: str
    place: str
    place_url: str
    before: str
    why: str
    lines: list[ChangeLine]
    document: str


@dataclass(frozen=True, slots=True)
class GroupView:
    key: str
    title: str
    level: str
    icon: str
    count: int
    entities: list[EntityView]


@dataclass(frozen=True, slots=True)
class ProblemLine:
    """A problem; ``diff`` is its line as written and as it would be right."""

    level: str
    rule: str
    message: str
    remedy: str
    place: str
    ref: str
    diff: list[DiffLine]


@dataclass(frozen=True, slots=True)
class ConflictLine:
    """``source`` and ``path`` are what to ask with to see the document as a change of what is there."""

    ref: str
    url: str
    ours: bool
    winner: str
    winner_place: str
    loser_place: str
    why: str
    source: str
    path: str


@dataclass(frozen=True, slots=True)
class ReferenceLine:
    ref: str
    url: str
    type: str
    target: str
    why: str


@dataclass(frozen=True, slots=True)
class ReportView:
    """Everything that is shown of a report."""

    level: str
    icon: str
    verdict: str
    summary: str
    unread: str
    held: int
    held_of: int
    groups: list[GroupView]
    problems: list[ProblemLine]
    conflicts: list[ConflictLine]
    dangling: list[ReferenceLine]
    mended: list[ReferenceLine]
    relations: int
    more: int


def report_view(report: Report) -> ReportView:
    """The page's half of ``report``."""
    level, icon, verdict = _VERDICTS[report.verdict]
    groups, left = [], SHOWN
    for key, (title, group_level, group_icon) in GROUPS.items():
        entities = [entity for entity in report.entities if entity.what == key]
        if entities:
            shown = [_entity(entity) for entity in entities[:left]]
            left -= len(shown)
            groups.append(GroupView(key, title, group_level, group_icon, len(entities), shown))
    return ReportView(
        level=level,
        icon=icon,
        verdict=verdict,
        summary=summary(report),
        unread=report.unread,
        held=len(report.held.refs) if report.held else 0,
        held_of=report.held.total if report.held else 0,
        groups=groups,
        problems=[_problem(finding) for finding in report.problems[:SHOWN]],
        conflicts=[_conflict(conflict) for conflict in report.conflicts[:SHOWN]],
        dangling=_references(report.dangling, "declared here", "its target goes"),
        mended=_references(report.mended, "declared here", "its target appears"),
        relations=len(report.relations),
        more=max(len(report.entities) - SHOWN, 0),
    )


def _entity(entity: EntityChange) -> EntityView:
    return EntityView(
        ref=entity.ref,
        url=""
        if entity.what == "appear"
        else entity_url(entity.before if entity.what == "rename" else entity.ref),
        title=entity.title,
        place=place_text(entity.place),
        place_url=at_line(entity.place.url, entity.place.line) if not entity.place.path else "",
        before=entity.before,
        why=entity.why,
        lines=list(_lines(entity.changes)),
        document=as_yaml(entity.document) if entity.document is not None else "",
    )


def _lines(changes: Iterable[Change]) -> Iterable[ChangeLine]:
    for change in changes:
        field, old, new = sides(change)
        if change.kind != "added":
            yield ChangeLine("del", "-", "now", field, old)
        if change.kind != "removed":
            yield ChangeLine("add", "+", "then", field, new)


def _problem(finding: Finding) -> ProblemLine:
    problem = finding.problem
    return ProblemLine(
        level="warn" if problem.severity == "warning" else "bad",
        rule=problem.rule,
        message=problem.message,
        remedy=problem.remedy,
        place=place_text(finding.place),
        ref=finding.ref,
        diff=line_diff(problem.source_line, problem.corrected_line, problem.line or None),
    )


def _conflict(conflict: Conflict) -> ConflictLine:
    elsewhere = not conflict.ours and conflict.winner.source and not conflict.winner.place.path
    return ConflictLine(
        ref=conflict.ref,
        url=entity_url(conflict.ref),
        ours=conflict.ours,
        winner=conflict.winner.source or "another source",
        winner_place=place_text(conflict.winner.place),
        loser_place=place_text(conflict.loser.place),
        why=conflict.why,
        source=conflict.winner.source if elsewhere else "",
        path=conflict.winner.place.url if elsewhere else "",
    )


def _references(references: Iterable[Reference], here: str, elsewhere: str) -> list[ReferenceLine]:
    return [
        ReferenceLine(r.ref, entity_url(r.ref), r.type, r.target, here if r.here else elsewhere)
        for r in list(references)[:SHOWN]
    ]
