"""When an entity was last confirmed, and when that is too long ago (decision 0012).

An entity is confirmed by a reading that saw it as it stands. For what is active that is the last good reading of its
source, which stands on the source alone; only what became missing or failed carries the time of the reading before.
Answers change as time passes and as sources are read, not only with a publication: they are never remembered.
"""
# ruff: noqa: S608  (tables, columns and operators are our own words; values travel beside the text)

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from catalog.query.sql import Sql, concat, fetch, join, one_of, uid_as_text, uid_text

FRESH, STALE = "fresh", "stale"
_DAY = 86_400.0
_SOURCE_TIME = "COALESCE(s.last_success_at, s.created_at)"


@dataclass(frozen=True, slots=True)
class Windows:
    """Days without a confirmation after which something is stale.

    Attributes:
        usual: for most entities.
        static: by kind (lower case), for kinds that change so rarely that they have a time of their own.
    """

    usual: float
    static: Mapping[str, float]

    def days(self, kind: str, override: float | None = None) -> float:
        """For an entity of ``kind``; what its source says (``override``) comes first."""
        return override if override is not None else self.static.get(kind, self.usual)


def windows() -> Windows:
    """As the settings have them."""
    return Windows(settings.CALLBOARD_STALE_AFTER, settings.CALLBOARD_STATIC_KINDS)


def is_stale(confirmed: dt.datetime | None, days: float, now: dt.datetime) -> bool:
    """Whether a confirmation is more than ``days`` ago; one that never was is."""
    return confirmed is None or (now - confirmed).total_seconds() > days * _DAY


# --- in statements


def _days_ago(column: str, now: dt.datetime) -> Sql:
    """Days between a time of the database and now."""
    if connection.vendor == "postgresql":
        return Sql(f"(EXTRACT(EPOCH FROM (CAST(%s AS timestamptz) - {column})) / {_DAY})", (now,))
    text = now.astimezone(dt.UTC).replace(tzinfo=None).isoformat(" ")
    return Sql(f"(julianday(%s) - julianday({column}))", (text,))


def _seconds(column: str) -> str:
    """A time as seconds since 1970, as text; empty for none."""
    if connection.vendor == "postgresql":
        number = f"CAST(EXTRACT(EPOCH FROM {column}) AS text)"
    else:
        number = f"CAST((julianday({column}) - 2440587.5) * {_DAY} AS text)"
    return f"COALESCE({number}, '')"


def stale_condition(alias: str, now: dt.datetime | None = None) -> Sql:
    """An expression that is true for stale rows of ``alias``, and never null."""
    now, asked = now or timezone.now(), windows()
    kinds: dict[float, list[str]] = {}
    for kind, days in sorted(asked.static.items()):
        kinds.setdefault(days, []).append(kind)

    def late(days: float) -> Sql:
        """Looks at no row outside, so that it is worked out once: sources are few."""
        age = _days_ago(_SOURCE_TIME, now)
        inner = concat(
            "SELECT s.id FROM catalog_source s WHERE ", age, Sql(" > COALESCE(s.stale_after, %s)", (days,))
        )
        return concat(f"{alias}.source_id IN (", inner, ")")

    own = [
        concat("WHEN ", one_of(f"{alias}.kind", names), Sql(" THEN CAST(%s AS double precision)", (days,)))
        for days, names in kinds.items()
    ]
    usual = Sql("CAST(%s AS double precision)", (asked.usual,))
    by_kind = concat("CASE ", join(" ", own), " ELSE ", usual, " END") if own else usual
    override = f"(SELECT s.stale_after FROM catalog_source s WHERE s.id = {alias}.source_id)"
    parts: list[Sql | str] = [
        f"CASE WHEN {alias}.confirmed_at IS NOT NULL THEN ",
        concat(_days_ago(f"{alias}.confirmed_at", now), f" > COALESCE({override}, ", by_kind, ")"),
        f" WHEN {alias}.source_id IS NULL THEN TRUE",
    ]
    for days, names in kinds.items():
        parts += [" WHEN ", one_of(f"{alias}.kind", names), " THEN ", late(days)]
    return concat("(", *parts, " ELSE ", late(asked.usual), " END)")


# --- in groups: counted once for each publication, judged anew each time


@dataclass(frozen=True, slots=True)
class Group:
    """Entities of one kind and source, confirmed together; ``own`` where not by their source's last good reading."""

    source: str
    kind: str
    own: dt.datetime | None
    count: int


@dataclass(frozen=True, slots=True)
class SourceTime:
    """What a source says of all its active entities."""

    confirmed: dt.datetime
    stale_after: float | None


def group_columns(alias: str) -> str:
    """An expression whose values tell groups apart; ``read_group`` takes it to pieces."""
    source = f"COALESCE({uid_as_text(f'{alias}.source_id')}, '')"
    return f"{source} || '|' || {alias}.kind || '|' || {_seconds(f'{alias}.confirmed_at')}"


def read_group(text: str, count: int) -> Group:
    """A group as ``group_columns`` wrote it."""
    source, kind, seconds = text.split("|")
    own = dt.datetime.fromtimestamp(float(seconds), dt.UTC) if seconds else None
    return Group(source, kind, own, count)


def source_times() -> dict[str, SourceTime]:
    """Every source by id. One statement."""
    rows = fetch(Sql(f"SELECT s.id, {_seconds(_SOURCE_TIME)}, s.stale_after FROM catalog_source s"))
    return {
        uid_text(key): SourceTime(dt.datetime.fromtimestamp(float(seconds), dt.UTC), days)
        for key, seconds, days in rows
    }


def confirmed(group: Group, sources: Mapping[str, SourceTime]) -> dt.datetime | None:
    """When the entities of a group were confirmed; None where nothing ever did."""
    if group.own is not None:
        return group.own
    source = sources.get(group.source)
    return source.confirmed if source else None


def judged(groups: Iterable[Group], now: dt.datetime | None = None) -> dict[str, int]:
    """How many are fresh and stale. One statement."""
    now, asked, sources = now or timezone.now(), windows(), source_times()
    found: dict[str, int] = {}
    for group in groups:
        source = sources.get(group.source)
        days = asked.days(group.kind, source.stale_after if source else None)
        word = STALE if is_stale(confirmed(group, sources), days, now) else FRESH
        found[word] = found.get(word, 0) + group.count
    return found


# --- of one entity


@dataclass(frozen=True, slots=True)
class Freshness:
    """Attributes:
    confirmed_at: None where no reading that ended well saw it as it stands. Until the first one of its source
        has ended, its time runs from the registration.
    stale_at: when it becomes stale, or became.
    days: its time without a confirmation.
    """

    confirmed_at: dt.datetime | None
    stale_at: dt.datetime | None
    days: float
    stale: bool


def freshness_of(entity: Any, now: dt.datetime | None = None) -> Freshness:
    """The freshness of an entity that was read with its source."""
    source = entity.source
    at = entity.confirmed_at or (source and source.last_success_at)
    since = at or (source and source.created_at)
    days = windows().days(entity.kind, source.stale_after if source else None)
    stale_at = since + dt.timedelta(days=days) if since else None
    return Freshness(at, stale_at, days, is_stale(since, days, now or timezone.now()))
