"""A report of a preview as text: for terminals, annotations of CI systems, comments on pull requests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from catalog.diff import Change, field_name
from catalog.services.preview.report import EntityChange, Place, Report

#: Lines of each list in texts for people; the JSON answer has more.
SHOWN = 200
LONGEST_VALUE = 100
_SIGNS = {
    "appear": "+",
    "change": "~",
    "move": ">",
    "rename": ">",
    "remove": "-",
    "missing": "?",
    "fail": "!",
}
_WORDS = {
    "appear": ("appears", "appear"),
    "change": ("changes", "change"),
    "move": ("moves", "move"),
    "rename": ("is renamed", "are renamed"),
    "remove": ("goes", "go"),
    "missing": ("is missing", "are missing"),
    "fail": ("fails", "fail"),
    "unchanged": ("stays", "stay"),
}


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def summary(report: Report) -> str:
    """The answer in one or two sentences."""
    counts = report.counts
    parts = [_counted(counts[word], *forms) for word, forms in _WORDS.items() if counts[word]]
    text = ", ".join(parts) if parts else "Nothing is there"
    more = [
        _counted(len(items), one, many)
        for items, one, many in (
            (report.problems, "problem", "problems"),
            (report.conflicts, "conflict", "conflicts"),
            (report.dangling, "new reference to nothing", "new references to nothing"),
            (report.mended, "reference mended", "references mended"),
        )
        if items
    ]
    return f"{text}. {', '.join(more)}." if more else f"{text}."


def place_text(place: Place) -> str:
    """``path:line``; the address where the file was not sent."""
    where = place.path or place.url
    return f"{where}:{place.line}" if where and place.line else where


def value_text(value: Any) -> str:
    """A value on one line, cut."""
    text = orjson.dumps(value).decode()
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def sides(change: Change) -> tuple[str, str, str]:
    """Field, value before and value after, as people read them: an item of a set stands for itself."""
    last = change.path[-1]
    is_item = last in (change.old, change.new) and isinstance(last, str) and change.kind != "changed"
    if is_item or (change.path[0] == "relations" and len(change.path) == 2):
        shown = value_text(last) if is_item else str(last)
        return field_name(change.path[:-1]), shown, shown
    return change.field, value_text(change.old), value_text(change.new)


def change_text(change: Change) -> str:
    """One difference on one line."""
    field, old, new = sides(change)
    if change.kind == "added":
        return f"{field}: added {new}"
    if change.kind == "removed":
        return f"{field}: removed {old}"
    return f"{field}: {old} -> {new}"


def _cut(lines: list[str]) -> Iterator[str]:
    yield from lines[:SHOWN]
    if len(lines) > SHOWN:
        yield f"… and {len(lines) - SHOWN:,} more"


def _entity_lines(entity: EntityChange) -> Iterator[str]:
    before = f" (before: {entity.before})" if entity.before else ""
    yield f"{_SIGNS[entity.what]} {entity.ref}{before}  {place_text(entity.place)}".rstrip()
    for change in entity.changes:
        yield f"    {change_text(change)}"
    if entity.why:
        yield f"    {entity.why}"


def as_text(report: Report) -> str:
    """For a terminal."""
    lines = [f"{report.source or report.target}: {summary(report)}"]
    if report.unread:
        lines.append(f"It could not be read: {report.unread}")
    if report.held:
        held = f"{len(report.held.refs):,} of {report.held.total:,} entities"
        lines.append(f"Removals would be held back until somebody decides: {held}.")
    for title, found in _sections(report):
        lines += ["", title, *_cut(found)]
    return "\n".join(lines) + "\n"


def _sections(report: Report) -> Iterator[tuple[str, list[str]]]:
    entities = [line for entity in report.entities for line in _entity_lines(entity)]
    problems = []
    for finding in report.problems:
        problem = finding.problem
        problems.append(f"{problem.severity} {place_text(finding.place)} {problem.rule}: {problem.message}")
        if problem.remedy:
            problems.append(f"    {problem.remedy}")
    conflicts = [
        f"{conflict.ref}: {'taken by' if conflict.ours else 'stays with'} "
        f"{conflict.winner.source or 'another source'} ({place_text(conflict.winner.place) or 'not shown'}), "
        f"not {place_text(conflict.loser.place) or 'the other one'}. {conflict.why}"
        for conflict in report.conflicts
    ]
    for title, lines in (
        ("Problems", problems),
        ("Conflicts", conflicts),
        ("New references to nothing", [f"{r.ref} {r.type} {r.target}" for r in report.dangling]),
        ("References mended", [f"{r.ref} {r.type} {r.target}" for r in report.mended]),
        ("Entities", entities),
    ):
        if lines:
            yield title, lines


def as_markdown(report: Report) -> str:
    """For a comment on a pull request, or the summary of a job."""
    words = {"ok": "No objections", "warning": "Worth a look", "error": "Something would not be taken in"}
    lines = [f"### Catalog: {words[report.verdict]}", "", _marked(summary(report)), ""]
    if report.unread:
        lines += [f"**It could not be read:** {_marked(report.unread)}", ""]
    if report.held:
        held = f"{len(report.held.refs):,} of {report.held.total:,}"
        lines += [f"**Removals would be held back until somebody decides:** {held} entities.", ""]
    for title, found in _sections(report):
        block = ["```", *_fenced(_cut(found)), "```", ""]
        if title == "Entities":
            block[0] = "```diff"
            lines += [f"<details><summary>{title}</summary>", "", *block, "</details>", ""]
        else:
            lines += [f"**{title}**", "", *block]
    return "\n".join(lines)


def _marked(text: str) -> str:
    """Text without the signs that Markdown and HTML read."""
    return "".join(f"\\{c}" if c in "\\`*_[]#|~" else {"<": "&lt;", "&": "&amp;"}.get(c, c) for c in text)


def _fenced(lines: Iterable[str]) -> Iterator[str]:
    """Lines that cannot end the block they stand in."""
    return (line.replace("```", "'''").replace("\n", " ") for line in lines)


# --- annotations


def _notes(report: Report) -> Iterator[tuple[str, str, str, Place]]:
    """(level, rule, text, place) of everything that belongs to a line."""
    for finding in report.problems:
        problem = finding.problem
        if problem.rule != "catalog.conflict":  # told below, with both sides
            text = f"{problem.message}\n{problem.remedy}".strip()
            yield problem.severity, problem.rule, text, finding.place
    for conflict in report.conflicts:
        side = conflict.winner if conflict.ours else conflict.loser
        keeper = conflict.winner.source or "another source"
        text = f"{conflict.ref} is declared twice; {keeper} has it. {conflict.why}"
        yield ("warning" if conflict.ours else "error"), "catalog.conflict", text, side.place
    for reference in report.dangling:
        text = f"{reference.ref} {reference.type} {reference.target}, which would not be there."
        yield "warning", "catalog.reference.nothing", text, reference.place


def as_github(report: Report) -> str:
    """Workflow commands, which GitHub shows at the lines of the change."""
    lines = []
    for level, rule, text, place in _notes(report):
        fields = {
            "file": place.path,
            "line": str(place.line) if place.path and place.line else "",
            "title": rule,
        }
        said = ",".join(f"{name}={_property(value)}" for name, value in fields.items() if value)
        where = "" if place.path or not place.url else f" ({place_text(place)})"
        lines.append(f"::{level} {said}::{_message(text + where)}")
    if report.unread:
        lines.append(f"::error::{_message(report.unread)}")
    if report.held:
        held = f"{len(report.held.refs)} of {report.held.total} entities would go; they wait for a decision."
        lines.append(f"::warning title=catalog.removal.held::{_message(held)}")
    lines.append(f"::notice title=Catalog::{_message(summary(report))}")
    return "\n".join(lines) + "\n"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def as_gitlab(report: Report) -> str:
    """A Code Quality report, which GitLab shows in the merge request."""
    levels = {"error": "major", "warning": "minor"}
    issues = []
    for level, rule, text, place in _notes(report):
        where = place.path or place.url or "catalog"
        mark = hashlib.sha256("\0".join((rule, where, str(place.line), text)).encode("utf-8", "replace"))
        issues.append(
            {
                "description": text,
                "check_name": rule,
                "fingerprint": mark.hexdigest(),
                "severity": levels[level],
                "location": {"path": where, "lines": {"begin": max(place.line, 1)}},
            }
        )
    return orjson.dumps(issues, option=orjson.OPT_INDENT_2).decode() + "\n"


def as_sarif(report: Report) -> str:
    """SARIF 2.1.0, for code scanning."""
    notes = list(_notes(report))
    rules = sorted({rule for _, rule, _, _ in notes})
    results = []
    for level, rule, text, place in notes:
        region = {"region": {"startLine": place.line}} if place.line else {}
        artifact = {"artifactLocation": {"uri": place.path or place.url}}
        located = [{"physicalLocation": {**artifact, **region}}] if place.path or place.url else []
        results.append(
            {
                "ruleId": rule,
                "ruleIndex": rules.index(rule),
                "level": level,
                "message": {"text": text},
                "locations": located,
            }
        )
    tool = {"driver": {"name": "Callboard", "rules": [{"id": rule} for rule in rules]}}
    run = {"tool": tool, "results": results, "columnKind": "unicodeCodePoints"}
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def as_json(report: Report) -> str:
    """The report itself."""
    return orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2).decode() + "\n"


RENDERERS: Mapping[str, Callable[[Report], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "github": as_github,
    "gitlab": as_gitlab,
    "sarif": as_sarif,
    "json": as_json,
}
