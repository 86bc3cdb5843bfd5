"""The health report as programs read it, and as the page shows it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse
from django.utils.http import urlencode

from catalog.presenters.refs import KindBook
from catalog.query.health import NUMBERS, HealthReport, SourceHealth
from catalog.query.reliability import DAYS, FRESHNESS_TARGET, READING_TARGET, Readings, Share

#: Sources that the page lists; those that fail come first.
SHOWN_SOURCES = 100
_STATES = {
    "failing": ("bad", "Failing"),
    "retrying": ("warn", "Failed, tried again"),
    "new": ("wait", "Not read yet"),
    "off": ("idle", "Switched off"),
    "ok": ("ok", "Well"),
}
_ELSEWHERE = {
    "missing_targets": "catalog:references",
    "conflicts": "catalog:conflicts",
    "problems": "catalog:problems",
}


def _iso(at: dt.datetime | None) -> str | None:
    return at.isoformat() if at else None


def _share(share: Share) -> dict[str, Any]:
    return {"good": share.good, "total": share.total, "ratio": share.ratio}


def _readings(some: Readings) -> dict[str, Any]:
    return {
        "success": some.success,
        "failed": some.failed,
        "outage": some.outage,
        "interrupted": some.interrupted,
        "ratio": some.share.ratio,
    }


def number_url(key: str) -> str:
    """The list of exactly what a number counts."""
    if key in _ELSEWHERE:
        return reverse(_ELSEWHERE[key])
    number = next(number for number in NUMBERS if number.key == key)
    query = urlencode(number.query or ())
    return f"{reverse('catalog:index')}?{query}" if query else reverse("catalog:index")


def report_body(report: HealthReport) -> dict[str, Any]:
    """The report as JSON."""
    return {
        "numbers": [
            {
                "key": number.key,
                "title": number.title,
                "value": report.numbers[number.key],
                "definition": number.definition,
                "target": number.target,
                "gotcha": number.gotcha,
                "owner": number.owner,
                "url": number_url(number.key),
            }
            for number in NUMBERS
        ],
        "problems": dict(report.severities),
        "freshness": {
            **_share(report.freshness.all),
            "days": DAYS,
            "target": FRESHNESS_TARGET,
            "kinds": {kind: _share(share) for kind, share in sorted(report.freshness.kinds.items())},
            "staticKinds": {kind: _share(share) for kind, share in sorted(report.freshness.static.items())},
        },
        "readings": {**_readings(report.readings), "days": DAYS, "target": READING_TARGET},
        "sources": [
            {
                "id": source.id,
                "name": source.name,
                "state": source.state,
                "failures": source.failures,
                "failingSince": _iso(source.failing_since),
                "lastSuccessAt": _iso(source.last_success_at),
                "lastError": source.last_error,
                "readings": _readings(source.readings),
            }
            for source in report.sources
        ],
    }


# --- the page


@dataclass(frozen=True, slots=True)
class NumberView:
    key: str
    title: str
    value: int
    url: str
    level: str
    definition: str
    target: str
    gotcha: str
    owner: str


@dataclass(frozen=True, slots=True)
class ShareView:
    """A share with its target; ``percent`` is empty where there is nothing to share."""

    key: str
    title: str
    percent: str
    level: str
    of: str
    target: str
    definition: str
    gotcha: str
    owner: str


@dataclass(frozen=True, slots=True)
class KindRow:
    title: str
    url: str
    percent: str
    good: int
    total: int
    window: str
    level: str


@dataclass(frozen=True, slots=True)
class SourceRow:
    name: str
    url: str
    level: str
    state: str
    failures: int
    failing_since: dt.datetime | None
    last_success_at: dt.datetime | None
    last_error: str
    percent: str
    attempts: int
    outages: int


@dataclass(frozen=True, slots=True)
class HealthPage:
    numbers: list[NumberView]
    shares: list[ShareView]
    kinds: list[KindRow]
    states: list[tuple[str, str, int]]
    sources: list[SourceRow] = field(default_factory=list)
    more_sources: int = 0


def percent(share: Share) -> str:
    """``99.1 %``; never rounded up to a whole that it is not."""
    if share.ratio is None:
        return ""
    if share.good == share.total:
        return "100 %"
    return f"{int(share.ratio * 1000) / 10:.1f} %"


def _level(share: Share, target: float) -> str:
    return "idle" if share.ratio is None else "ok" if share.ratio >= target else "bad"


def _source_row(source: SourceHealth) -> SourceRow:
    level, state = _STATES[source.state]
    share = source.readings.share
    return SourceRow(
        source.name,
        reverse("catalog:source", args=[source.id]),
        level,
        state,
        source.failures,
        source.failing_since,
        source.last_success_at,
        source.last_error if source.failures else "",
        percent(share),
        share.total,
        source.readings.outage,
    )


def health_page(report: HealthReport, kinds: KindBook, static_days: dict[str, float]) -> HealthPage:
    """The page of a report."""
    numbers = [
        NumberView(
            n.key, n.title, report.numbers[n.key], number_url(n.key),
            "ok" if n.key in ("entities", "fresh") or not report.numbers[n.key] else "warn",
            n.definition, n.target, n.gotcha, n.owner,
        )
        for n in NUMBERS
    ]  # fmt: skip
    fresh, read = report.freshness.all, report.readings.share
    owner = NUMBERS[0].owner
    shares = [
        ShareView(
            "freshness", "Confirmed in 30 days", percent(fresh), _level(fresh, FRESHNESS_TARGET),
            f"{fresh.good:,} of {fresh.total:,} entities", f"{FRESHNESS_TARGET:.0%}",
            "Entities that a reading saw as they stand within 30 days, of all but those of static kinds.",
            "Static kinds have a time of their own and stand in the table below.", owner,
        ),
        ShareView(
            "readings", "Readings that succeeded", percent(read), _level(read, READING_TARGET),
            f"{read.good:,} of {read.total:,} in 30 days", f"{READING_TARGET:.0%}",
            "Readings of sources that went well, of those that went well or failed.",
            f"Outages of the host ({report.readings.outage:,}) and workers that stopped"
            f" ({report.readings.interrupted:,}) are counted apart.", owner,
        ),
    ]  # fmt: skip
    rows = [
        KindRow(
            kinds[kind].plural, kinds[kind].url, percent(share), share.good, share.total,
            f"{static_days[kind]:g} days, static" if static else f"{DAYS} days",
            "idle" if static else _level(share, FRESHNESS_TARGET),
        )
        for static, some in ((False, report.freshness.kinds), (True, report.freshness.static))
        for kind, share in sorted(some.items())
    ]  # fmt: skip
    order = list(_STATES)
    sources = sorted(report.sources, key=lambda s: (order.index(s.state), -s.failures, s.name))
    return HealthPage(
        numbers,
        shares,
        rows,
        [(*_STATES[state], report.in_state(state)) for state in order if report.in_state(state)],
        [_source_row(source) for source in sources[:SHOWN_SOURCES]],
        max(len(sources) - SHOWN_SOURCES, 0),
    )
