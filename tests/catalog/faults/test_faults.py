"""Nothing is lost: real processes of real installations under load, killed, or failed by what they stand on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from catalog.bench.faults.scenarios import kill_processes, may_mount, outage
from catalog.bench.faults.stage import Outcome

pytestmark = [pytest.mark.slow, pytest.mark.req("R223"), pytest.mark.database("sqlite")]
KILLS = 20
POSTGRESQL, REDIS = pytest.mark.services("postgresql"), pytest.mark.services("redis")
PAIRS = [
    pytest.param("sqlite", "folder", id="sqlite-folder"),
    pytest.param("sqlite", "redis", id="sqlite-redis", marks=[REDIS]),
    pytest.param("postgresql", "folder", id="postgresql-folder", marks=[POSTGRESQL]),
    pytest.param("postgresql", "redis", id="postgresql-redis", marks=[POSTGRESQL, REDIS]),
]


@pytest.fixture
def judged(record_property: Callable[[str, Any], None]) -> Callable[[Outcome], None]:
    """Fails with everything that was found, and with the seed that finds it again."""

    def judge(outcome: Outcome) -> None:
        record_property("outcome", outcome.as_json())
        assert outcome.faults == {}, f"seed {outcome.seed}, {outcome.counts}"

    return judge


@pytest.mark.parametrize(("database", "broker"), PAIRS)
def test_whatever_is_killed_whenever_nothing_is_lost_or_doubled(
    database: str, broker: str, judged: Callable[[Outcome], None]
) -> None:
    outcome = kill_processes(kills=KILLS, database=database, broker=broker, seed=7, say=print)
    assert outcome.kills.total() == KILLS
    assert outcome.counts["versions closed"] > 10
    judged(outcome)


@pytest.mark.services("postgresql")
def test_postgresql_that_stops_at_once_is_named_and_costs_nothing(judged: Callable[[Outcome], None]) -> None:
    judged(outage("postgresql-restart", database="postgresql", broker="folder", seed=7, say=print))


@pytest.mark.services("redis")
@pytest.mark.parametrize("name", ["redis-flush", "redis-restart"])
def test_redis_may_lose_everything_at_any_time(name: str, judged: Callable[[Outcome], None]) -> None:
    judged(outage(name, database="sqlite", broker="redis", seed=7, say=print))


@pytest.mark.skipif(not may_mount(), reason="a disk that can run full needs the right to mount one")
def test_a_full_disk_is_named_and_everything_goes_on_once_there_is_room(
    judged: Callable[[Outcome], None],
) -> None:
    judged(outage("disk-full", database="sqlite", broker="folder", seed=7, say=print))
