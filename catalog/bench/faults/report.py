"""Which scenarios to run, and their table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from catalog.bench.faults.scenarios import OUTAGES, kill_processes, may_mount, outage
from catalog.bench.faults.stage import Outcome, Say
from catalog.bench.servers import postgresql_folder, redis_program

KILL = "kill"
DATABASES = ("sqlite", "postgresql")
BROKERS = ("folder", "redis")


def missing_for(scenario: str, database: str, broker: str) -> str:
    """What this machine lacks for a scenario; empty where it can run."""
    if database == "postgresql" and postgresql_folder() is None:
        return "PostgreSQL is not installed"
    if broker == "redis" and redis_program() is None:
        return "redis-server is not installed"
    if scenario == "disk-full" and not may_mount():
        return "a disk that can run full needs the right to mount one"
    return ""


def combinations(
    scenario: str, databases: tuple[str, ...], brokers: tuple[str, ...]
) -> list[tuple[str, str]]:
    """The pairs of database and broker that a scenario is about, of those that were asked for."""
    if scenario != KILL:
        kind = OUTAGES[scenario]
        databases = tuple(one for one in databases if one in kind.databases)
        brokers = tuple(one for one in brokers if one in kind.brokers)
    return [(database, broker) for database in databases for broker in brokers]


def run(scenario: str, pairs: list[tuple[str, str]], *, kills: int, seed: int, say: Say) -> Iterator[Outcome]:
    """Run a scenario on each pair; the kills are shared out among them."""
    for number, (database, broker) in enumerate(pairs):
        share = kills // len(pairs) + (number < kills % len(pairs))
        if scenario == KILL:
            yield kill_processes(kills=share, database=database, broker=broker, seed=seed + number, say=say)
        else:
            yield outage(scenario, database=database, broker=broker, seed=seed + number, say=say)


def table(outcomes: list[Outcome]) -> Iterator[str]:
    """The outcomes as lines for people."""
    columns = ("versions closed", "events", "jobs", "jobs tried again", "requests cut off")
    head = f"{'scenario':20} {'database':11} {'broker':7} {'kills':>5} {'changes':>8} {'versions':>9} {'events':>7} "
    yield f"{head}{'jobs':>6} {'again':>6} {'cut off':>8} {'quiet in':>9}  outcome"
    for one in outcomes:
        values: list[Any] = [one.counts.get(name, 0) for name in columns]
        yield (
            f"{one.scenario:20} {one.database:11} {one.broker:7} {one.kills.total():>5} "
            f"{one.counts.get('steps', 0):>8} {values[0]:>9} {values[1]:>7} {values[2]:>6} {values[3]:>6} "
            f"{values[4]:>8} {one.settled:>7.1f} s  {'nothing lost' if one.ok else 'FAULTS'}"
        )
    for one in outcomes:
        for kind, texts in one.faults.items():
            yield f"{one.scenario}, {one.database}, {one.broker}, seed {one.seed}: {kind}"
            yield from (f"    {text}" for text in texts)
