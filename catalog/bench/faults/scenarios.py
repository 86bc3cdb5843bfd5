"""What happens to an installation under load."""

from __future__ import annotations

import time

from catalog.bench.faults.processes import ROLES
from catalog.bench.faults.stage import Outcome, Say, Stage, stage

#: Seconds between two kills, at most.
BETWEEN = 1.0


def kill_processes(*, kills: int, database: str, broker: str, seed: int, say: Say) -> Outcome:
    """``kill -9`` of web, worker or scheduler at random moments, each started again at once."""
    with stage("kill -9", database=database, broker=broker, seed=seed, say=say) as on:
        with on.load():
            for number in range(1, kills + 1):
                time.sleep(on.random.uniform(0.05, BETWEEN))
                _kill_one(on)
                if number % 10 == 0:
                    say(f"{database}, {broker}: {number} of {kills} kills, {sum(on.steps.values())} steps")
        say(f"{database}, {broker}: waiting for quiet")
        on.settle()
    return on.outcome


def _kill_one(on: Stage) -> None:
    """Mostly one that is at work; now and then whichever, also while it starts."""
    role = on.random.choice(ROLES)
    if on.random.random() < 0.8:
        until = time.monotonic() + 20
        while not on.fleet.works(role) and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(on.random.uniform(0, 0.5))
    on.fleet.restart_ended()
    on.fleet.kill(role)
    on.outcome.kills[role] += 1
    on.fleet.start_role(role)
