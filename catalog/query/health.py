"""The health of the catalog in numbers: each with its meaning and the exact list behind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db.models import Count, Value

from catalog.models import Problem, Source
from catalog.query.conflicts import Conflicts
from catalog.query.freshness import SourceTime
from catalog.query.query import UNREAD, EntityQuery
from catalog.query.references import References, missing_targets
from catalog.query.reliability import (
    FAILING_AFTER,
    FreshnessShares,
    Readings,
    freshness_shares,
    readings,
    together,
)
from catalog.query.scope import scope_of
from portal.access.viewer import Viewer

#: Kinds that own, or are only places: nobody asks who owns them.
UNOWNED_KINDS = ("group", "location", "user")
OWNER = "Catalog curators"
_MISSING = "missing targets"


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the health report.

    Attributes:
        key: stable name.
        query: what narrows the index to exactly these entities, as in its address; None where another list shows them.
        target: what it should be, in words; ``gotcha`` what it does not say.
    """

    key: str
    title: str
    definition: str
    target: str
    gotcha: str
    query: tuple[tuple[str, str], ...] | None = None
    owner: str = OWNER


_UNOWNED = (("owner", "none"), *(("kind", f"-{kind}") for kind in UNOWNED_KINDS))
NUMBERS = (
    Number("entities", "Entities", "Everything in the catalog that you may see.", "None; it grows with the company.",
           "Removed entities are not in it, missing ones are.", ()),
    Number("fresh", "Fresh", "Confirmed within their time: a reading saw them as they stand.", "All of them.",
           "A file can be read and say nothing true any more. Fresh means read, not right.", (("fresh", "fresh"),)),
    Number("stale", "Stale", "No reading saw them as they stand for longer than their time allows.", "0.",
           "Sources that are read on demand only grow stale unless they have a longer time of their own.",
           (("fresh", "stale"),)),
    Number("missing", "Source unreadable", "Their source cannot be read just now; the last good version is shown.",
           "0 for longer than a day.", "A host that rests for some minutes shows up here and goes away by itself.",
           (("state", "missing"),)),
    Number("errors", "Last reading failed", "Their file changed to something the catalog cannot take.", "0.",
           "The last good version is shown, which may be old.", (("errors", "true"),)),
    Number("orphaned", "Orphaned", "No source declares them any more.", "0.",
           "They stay until somebody declares or removes them.", (("state", "orphaned"),)),
    Number("dangling", "Point to nothing", "At least one of their relations leads to no entity.", "0.",
           "What you may not see counts as not there, for you.", (("refs", "nothing"),)),
    Number("unowned", "Without an owner", "They name no owner, and their kind should have one.", "0.",
           "An owner that is named and not in the catalog counts under references to nothing.", _UNOWNED),
    Number("missing_targets", "References to nothing", "Different references that lead to no entity.", "0.",
           "One missing team can be behind hundreds of entities."),
    Number("conflicts", "Conflicts", "Declarations that lost against another file or source.", "0.",
           "Which one wins is decided by priority, then by who was first; not by who is right."),
    Number("problems", "Problems", "What sources say that the catalog cannot take.", "0.",
           "Warnings count like errors."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """A source with its state: ``ok``, ``retrying`` (failed once or twice), ``failing``, ``off``, ``new``."""

    id: str
    name: str
    state: str
    failures: int
    failing_since: dt.datetime | None
    last_success_at: dt.datetime | None
    last_error: str
    readings: Readings


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Everything at one moment, as one viewer sees it."""

    numbers: Mapping[str, int]
    severities: Mapping[str, int]
    freshness: FreshnessShares
    readings: Readings
    sources: list[SourceHealth] = field(default_factory=list)

    def in_state(self, state: str) -> int:
        return sum(source.state == state for source in self.sources)


def entity_query(
    viewer: Viewer, pairs: tuple[tuple[str, str], ...], version: int | None = UNREAD
) -> EntityQuery:
    """The index as the address with these pairs narrows it."""
    include: dict[str, list[str]] = {}
    exclude: dict[str, list[str]] = {}
    for word, value in pairs:
        left = value.startswith("-")
        side = exclude if left else include
        side.setdefault(word, []).append(
            "" if word == "owner" and value == "none" else value.removeprefix("-")
        )
    return EntityQuery(viewer, include=include, exclude=exclude, version=version)


def entity_numbers(viewer: Viewer, version: int | None = UNREAD) -> dict[str, int]:
    """The numbers that the index can list. At most three statements."""
    listed = [number for number in NUMBERS if number.query is not None]
    queries = [entity_query(viewer, number.query or (), version) for number in listed]
    counts = queries[0].lengths_of(queries)
    return {number.key: count for number, count in zip(listed, counts, strict=True)}


def missing_target_count(viewer: Viewer) -> int:
    """References that lead nowhere. One statement."""
    references = References(viewer)
    if references.scope.is_everything:
        return missing_targets(viewer).count()
    return references.counts()[0]


def health_report(viewer: Viewer) -> HealthReport:
    """The whole report. About ten statements."""
    version = EntityQuery(viewer).version
    numbers = entity_numbers(viewer, version)
    severities, missing = _problems_and_missing(viewer)
    sources = list(Source.objects.visible_to(viewer).order_by("name"))
    times = {str(s.pk): SourceTime(s.last_success_at or s.created_at, s.stale_after) for s in sources}
    numbers |= {
        "missing_targets": missing,
        "conflicts": Conflicts(viewer).count(),
        "problems": sum(severities.values()),
    }
    by_source = readings(viewer)
    return HealthReport(
        numbers=numbers,
        severities=severities,
        freshness=freshness_shares(viewer, sources=times, version=version),
        readings=together(by_source),
        sources=[_source_health(row, by_source) for row in sources],
    )


def _problems_and_missing(viewer: Viewer) -> tuple[dict[str, int], int]:
    """Problems by severity, and references to nothing. One statement, where all entities may be seen."""
    severities = Problem.objects.visible_to(viewer).order_by().values_list("severity").annotate(n=Count("pk"))
    if not scope_of(viewer).is_everything:
        return dict(severities), missing_target_count(viewer)
    missing = missing_targets(viewer).order_by().values(severity=Value(_MISSING))
    both = dict(severities.union(missing.annotate(n=Count("pk")).values_list("severity", "n"), all=True))
    return {word: count for word, count in both.items() if word != _MISSING}, both.get(_MISSING, 0)


def _source_health(source: Source, by_source: Mapping[str, Readings]) -> SourceHealth:
    state = "ok"
    if not source.enabled:
        state = "off"
    elif source.failures:
        state = "failing" if source.failures >= FAILING_AFTER else "retrying"
    elif source.last_success_at is None and source.type != Source.Type.MANAGED:
        state = "new"  # what is kept here is written, not read
    return SourceHealth(
        str(source.pk),
        source.name,
        state,
        source.failures,
        source.failing_since,
        source.last_success_at,
        source.last_error,
        by_source.get(source.name, Readings()),
    )
