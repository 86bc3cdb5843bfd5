"""Ingestion records: what is wrong in a source, kept as long as it is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

from catalog.ingest.problems import Problem as Finding
from catalog.models import Problem, Source

REASON = "the records of the source that was just read"
FIELDS = (
    "severity", "rule", "message", "remedy", "url", "document", "line", "column", "path", "value", "source_line",
    "corrected_line", "error_name",
)  # fmt: skip
WRITTEN = (*FIELDS, "entity_ref", "owner_ref")
# Of a line of the file. Nobody reads a longer one on a page, and a file may be a single line of megabytes.
LONGEST_LINE = 1_000


def problem_fingerprint(finding: Finding, entity_ref: str) -> str:
    """The same place and rule is the same problem, also when lines above it come or go."""
    key = "\0".join((finding.url, entity_ref or str(finding.document), finding.rule, finding.path))
    return hashlib.sha1(key.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def _storable(text: str) -> str:
    """What people wrote, without what a database cannot hold: NUL is shown by its sign, half a character by ``?``."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()


def replace_problems(*, source: Source, findings: Iterable[tuple[Finding, str, str]], now: datetime) -> int:
    """Make the records of ``source`` exactly these; a problem that stays keeps the time it was first seen.

    Args:
        findings: (finding, entity reference, owner reference); both may be empty.

    Returns:
        How many there are now.
    """
    known = {p.fingerprint: p for p in Problem.objects.unrestricted(REASON).filter(source=source)}
    new: dict[str, Problem] = {}
    changed: list[Problem] = []
    for finding, entity_ref, owner_ref in findings:
        mark = problem_fingerprint(finding, entity_ref)
        if mark in new:
            continue
        row = known.get(mark) or Problem(source=source, fingerprint=mark, first_seen_at=now)
        before = [getattr(row, field) for field in WRITTEN]
        for field in FIELDS:
            value = getattr(finding, field)
            setattr(row, field, _storable(value) if isinstance(value, str) else value)
        row.source_line, row.corrected_line = (
            row.source_line[:LONGEST_LINE],
            row.corrected_line[:LONGEST_LINE],
        )
        row.path, row.url = row.path[:500], row.url[:2000]
        row.entity_ref, row.owner_ref = _storable(entity_ref)[:260], _storable(owner_ref)[:260]
        row.last_seen_at = now
        if mark in known and before != [getattr(row, field) for field in WRITTEN]:
            changed.append(row)
        new[mark] = row
    gone = [p.pk for mark, p in known.items() if mark not in new]
    for start in range(0, len(gone), 500):
        Problem.objects.unrestricted(REASON).filter(pk__in=gone[start : start + 500]).delete()
    # Most are what they were: one statement says when they were seen.
    Problem.objects.filter(source=source).update(last_seen_at=now)
    Problem.objects.bulk_update(changed, WRITTEN, batch_size=200)
    fresh = [p for mark, p in new.items() if mark not in known]
    Problem.objects.bulk_create(fresh, batch_size=500)
    return len(new)
