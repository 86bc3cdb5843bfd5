"""M1 and M2: how fresh the catalog is, and how well its sources can be read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db.models import Sum
from django.utils import timezone

from catalog.models import Source, Sync, SyncCount
from catalog.query.freshness import SourceTime, confirmed, is_stale, source_times, windows
from catalog.query.query import UNREAD, EntityQuery
from portal.access.viewer import Viewer

#: The window of both, in days.
DAYS = 30
FRESHNESS_TARGET, READING_TARGET = 0.9, 0.99
#: Failures in a row after which a source is said to be failing.
FAILING_AFTER = 3


@dataclass(slots=True)
class Share:
    """So many of so many."""

    good: int = 0
    total: int = 0

    @property
    def ratio(self) -> float | None:
        return self.good / self.total if self.total else None


@dataclass(slots=True)
class FreshnessShares:
    """M1. ``static`` kinds are judged by times of their own and left out of ``all``."""

    kinds: dict[str, Share] = field(default_factory=dict)
    static: dict[str, Share] = field(default_factory=dict)
    all: Share = field(default_factory=Share)


def freshness_shares(
    viewer: Viewer,
    now: dt.datetime | None = None,
    *,
    sources: Mapping[str, SourceTime] | None = None,
    version: int | None = UNREAD,
) -> FreshnessShares:
    """M1: entities that were confirmed within 30 days, by kind. At most three statements.

    Args:
        sources, version: where the caller has read them already (``source_times``, ``EntityQuery.version``).
    """
    now, asked = now or timezone.now(), windows()
    groups = EntityQuery(viewer, version=version).confirmations()
    sources = source_times() if sources is None else sources
    shares = FreshnessShares()
    for group in groups:
        static = group.kind in asked.static
        days = asked.static[group.kind] if static else DAYS
        good = 0 if is_stale(confirmed(group, sources), days, now) else group.count
        share = (shares.static if static else shares.kinds).setdefault(group.kind, Share())
        for counted in (share,) if static else (share, shares.all):
            counted.good += good
            counted.total += group.count
    return shares


@dataclass(slots=True)
class Readings:
    """How readings ended. Outages of the host and workers that stopped are told apart and lower no share."""

    success: int = 0
    failed: int = 0
    outage: int = 0
    interrupted: int = 0

    @property
    def share(self) -> Share:
        return Share(self.success, self.success + self.failed)

    def add(self, outcome: str, count: int) -> None:
        setattr(self, outcome, getattr(self, outcome) + count)


def readings(
    viewer: Viewer, *, days: int | None = DAYS, now: dt.datetime | None = None
) -> dict[str, Readings]:
    """M2: readings by name of their source; ``days`` None for all there ever were. One statement."""
    rows = SyncCount.objects.visible_to(viewer).filter(
        source__in=Source.objects.visible_to(viewer).order_by()
    )
    if days is not None:
        today = (now or timezone.now()).astimezone(dt.UTC).date()
        rows = rows.filter(day__gt=today - dt.timedelta(days=days))
    found: dict[str, Readings] = {}
    counted = rows.order_by().values_list("source__name", "outcome").annotate(n=Sum("count"))
    for name, outcome, count in counted:
        if outcome in Sync.Outcome.values:
            found.setdefault(name, Readings()).add(outcome, count)
    return found


def together(by_source: dict[str, Readings]) -> Readings:
    """All sources as one."""
    whole = Readings()
    for some in by_source.values():
        for outcome in Sync.Outcome.values:
            whole.add(outcome, getattr(some, outcome))
    return whole
