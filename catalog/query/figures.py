"""Figures of the catalog for Prometheus, read from the database when somebody asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from catalog.models import Source, Sync
from catalog.query.conflicts import Conflicts
from catalog.query.health import entity_numbers, missing_target_count
from catalog.query.reliability import Readings, freshness_shares, readings
from portal.access.viewer import Viewer

#: Seconds for which a process gives the same answer again.
REMEMBERED = 10.0
#: Sources with figures of their own, the first by name; the others are added up, so that labels stay bounded.
MOST_SOURCES, OTHERS = 500, "(others)"
_last: tuple[float, list[Metric]] | None = None


def figures() -> list[Metric]:
    """All figures, at most ``REMEMBERED`` seconds old. Not more than ten statements."""
    global _last
    now = time.monotonic()
    if _last is None or now - _last[0] > REMEMBERED:
        _last = now, read_figures()
    return _last[1]


def forget_figures() -> None:
    """Have the next answer read anew."""
    global _last
    _last = None


def read_figures() -> list[Metric]:
    """All figures, read now."""
    viewer = Viewer.system("metrics")
    return [*_freshness(viewer), *_counts(viewer), *_sources(viewer)]


def _freshness(viewer: Viewer) -> Iterable[Metric]:
    shares = freshness_shares(viewer)
    ratio = GaugeMetricFamily(
        "callboard_catalog_freshness_ratio",
        "Share of entities confirmed within 30 days, by kind; kinds with a time of their own are left out.",
        labels=["kind"],
    )
    confirmed = GaugeMetricFamily(
        "callboard_catalog_confirmed_entities", "Entities confirmed within 30 days, by kind.", labels=["kind"]
    )
    entities = GaugeMetricFamily(
        "callboard_catalog_judged_entities",
        "Entities that the freshness ratio is about, by kind.",
        labels=["kind"],
    )
    for kind, share in sorted(shares.kinds.items()):
        ratio.add_metric([kind], share.ratio or 0.0)
        confirmed.add_metric([kind], share.good)
        entities.add_metric([kind], share.total)
    return ratio, confirmed, entities


def _counts(viewer: Viewer) -> Iterable[Metric]:
    numbers = entity_numbers(viewer)
    found = {
        "callboard_catalog_entities": ("Entities.", numbers["entities"]),
        "callboard_catalog_stale_entities": ("Entities not confirmed within their time.", numbers["stale"]),
        "callboard_catalog_missing_entities": ("Entities whose source cannot be read.", numbers["missing"]),
        "callboard_catalog_orphaned_entities": ("Entities that nobody declares.", numbers["orphaned"]),
        "callboard_catalog_dangling_entities": ("Entities that point to nothing.", numbers["dangling"]),
        "callboard_catalog_unowned_entities": ("Entities without an owner.", numbers["unowned"]),
        "callboard_catalog_missing_references": (
            "References that lead to no entity.", missing_target_count(viewer)),
        "callboard_catalog_conflicts": (
            "Declarations that lost against another one.", Conflicts(viewer).count()),
    }  # fmt: skip
    return [GaugeMetricFamily(name, text, value=value) for name, (text, value) in found.items()]


def _sources(viewer: Viewer) -> Iterable[Metric]:
    rows = list(
        Source.objects.visible_to(viewer)
        .filter(enabled=True)
        .order_by("name")
        .values_list("name", "last_success_at", "failures")
    )
    named = {name for name, _, _ in rows[:MOST_SOURCES]}
    last = GaugeMetricFamily(
        "callboard_source_last_success_timestamp_seconds",
        "When a source was read well for the last time; 0 for never. Of the others together: the longest ago.",
        labels=["source"],
    )
    streak = GaugeMetricFamily(
        "callboard_source_failures_in_a_row",
        "Readings in a row that failed, up to the last one.",
        labels=["source"],
    )
    times = _by_label(named, ((name, at.timestamp() if at else 0.0) for name, at, _ in rows), min)
    failures = _by_label(named, ((name, float(n)) for name, _, n in rows), max)
    for label, value in times.items():
        last.add_metric([label], value)
    for label, value in failures.items():
        streak.add_metric([label], value)
    return last, streak, _attempts(viewer, named)


def _by_label(
    named: set[str], values: Iterable[tuple[str, float]], pick: Callable[[float, float], float]
) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in values:
        label = name if name in named else OTHERS
        found[label] = pick(found[label], value) if label in found else value
    return found


def _attempts(viewer: Viewer, named: set[str]) -> Metric:
    attempts = CounterMetricFamily(
        "callboard_sync_attempts",
        "Readings of sources by how they ended: success, failed, outage (of the host), interrupted.",
        labels=["source", "outcome"],
    )
    counted: dict[str, Readings] = {}
    for name, some in readings(viewer, days=None).items():
        whole = counted.setdefault(name if name in named else OTHERS, Readings())
        for outcome in Sync.Outcome.values:
            whole.add(outcome, getattr(some, outcome))
    for label, some in sorted(counted.items()):
        for outcome in Sync.Outcome.values:
            attempts.add_metric([label, outcome], getattr(some, outcome))
    return attempts
