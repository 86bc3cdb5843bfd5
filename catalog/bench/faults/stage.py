"""An installation under load, and how it is brought to rest and judged."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from catalog.bench.faults import bulks, pushes, writes
from catalog.bench.faults.client import Client, NoAnswerError
from catalog.bench.faults.drivers import DRIVERS, Driver, FileServer, Place
from catalog.bench.faults.processes import LEASE, AwayError, Fleet
from catalog.bench.faults.witnesses import Follower, Receiver, Sealed
from catalog.bench.faults.world import Pushed, Tree, truth_of, usual_trees
from catalog.bench.git_server import serving
from catalog.bench.servers import PostgreSQL, Redis, postgresql, redis_server

#: Seconds in which the catalog has to come to the truth by itself once everything runs again.
SETTLE = 120.0
Say = Callable[[str], None]
#: Modules with loads, which register themselves.
LOADS = (bulks, pushes, writes)


@dataclass
class Outcome:
    """What a scenario came to.

    Attributes:
        faults: kind of fault -> what was found; empty where nothing was lost, doubled or unclear.
        counts: what there was to lose.
        settled: seconds until the catalog said what the sources say.
    """

    scenario: str
    database: str
    broker: str
    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    settled: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.faults

    def note(self, kind: str, texts: list[str]) -> None:
        if texts:
            self.faults.setdefault(kind, []).extend(texts)

    def as_json(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario, "database": self.database, "broker": self.broker, "seed": self.seed,
            "ok": self.ok, "kills": dict(self.kills), "faults": self.faults, "counts": self.counts,
            "seconds": round(self.seconds, 1), "settled": round(self.settled, 1),
        }  # fmt: skip


class Stage:
    """One installation, its sources, the load on it.

    Attributes:
        postgresql, redis: the servers below it, where it uses them.
    """

    def __init__(
        self,
        fleet: Fleet,
        trees: list[Tree],
        pushed: Pushed,
        files: FileServer,
        receiver: Receiver,
        outcome: Outcome,
        say: Say,
        postgresql: PostgreSQL | None = None,
        redis: Redis | None = None,
    ) -> None:
        self.fleet, self.trees, self.outcome, self.say = fleet, trees, outcome, say
        self.pushed, self.receiver = pushed, receiver
        self.postgresql, self.redis = postgresql, redis
        self.random = random.Random(outcome.seed)  # noqa: S311  (no secret)
        self.steps: Counter[str] = Counter()
        self.password = secrets.token_urlsafe(16)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._files = files
        self.client: Client
        self.follower: Follower
        self.drivers: list[Driver] = []

    def set_up(self, *, pages: bool) -> None:
        """Database, token, sources, processes; the first reading of everything is done when it returns."""
        self.fleet.manage("migrate", "-v", "0")
        if pages:
            self.fleet.manage("collectstatic", "--no-input", "-v", "0")
        self.fleet.manage("user", "create", "bench", "--staff", "--password", typed=f"{self.password}\n")
        made = self.fleet.manage_json("token", "create", "--user", "bench", "--name", "bench")
        listed = self.fleet.folder / "sources.yaml"
        listed.write_bytes(orjson.dumps({"sources": [tree.source for tree in [*self.trees, self.pushed]]}))
        self.fleet.manage("source", "apply", "--file", str(listed))
        self.fleet.start()
        self.fleet.start_inspector()
        self.client = Client(self.fleet.port, str(made["token"]))
        self.receiver.subscribe(self.client)
        self.follower = Follower(self.client)
        self.follower.start()
        served, seed = self.fleet.folder / "served", self.outcome.seed
        place = Place(self.client, self.trees, self.pushed, served, self._files.address, seed)
        self.drivers = [one for make in DRIVERS.values() if (one := make(place)).is_there()]
        self.wait_for_truth("first reading")

    # ----------------------------------------------------------------------------------------------------------- load

    @contextmanager
    def load(self) -> Iterator[None]:
        """Everything changes all the time while the block runs."""
        for driver in self.drivers:
            thread = threading.Thread(target=self._drive, args=(driver,), daemon=True)
            self._threads.append(thread)
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(180)

    def _drive(self, driver: Driver) -> None:
        rng = random.Random(f"{self.outcome.seed}{type(driver).__name__}pause")  # noqa: S311  (no secret)
        while not self._stop.wait(rng.uniform(0, driver.pause)):
            try:
                self.steps[driver.step()] += 1
            except NoAnswerError as error:
                self.outcome.note("no answer", [str(error)])
            except Exception as error:  # noqa: BLE001  (whatever a driver meets is a finding, and the others go on)
                self.outcome.note("load", [f"{type(driver).__name__}: {type(error).__name__}: {error}"[:500]])
                return

    # ----------------------------------------------------------------------------------------------------------- rest

    def truth(self) -> dict[str, Any]:
        entities = truth_of(self.trees)
        for driver in self.drivers:
            entities |= driver.truth()
        return {"truth": entities, "locations": [t for driver in self.drivers for t in driver.locations()]}

    def wait_for_truth(self, what: str, *, seconds: float = SETTLE) -> float:
        """Wait until the catalog says what the sources say, without doing anything for it. Returns the seconds."""
        started, found = time.monotonic(), ["nothing was asked yet"]
        while time.monotonic() - started < seconds:
            if ended := self.fleet.restart_ended():
                self.outcome.note(
                    "ended by itself", [f"{role}: {self.fleet.log_of(role)[-800:]}" for role in ended]
                )
            try:
                found = self.fleet.ask("differences", **self.truth())
            except AwayError as error:
                found = [str(error)]
            if not found:
                return time.monotonic() - started
            time.sleep(0.5)
        self.outcome.note(f"lost ({what})", found[:10])
        return time.monotonic() - started

    def settle(self) -> None:
        """Bring it to rest without touching anything that was queued, then look at everything."""
        self.outcome.settled = self.wait_for_truth("catalog and sources differ")
        self.fleet.ask("pause_schedules")
        self._wait_for_jobs()
        before = self.fleet.ask("counts")
        self.fleet.ask("read_everything")
        self._wait_for_jobs()
        until = time.monotonic() + 30
        while self.fleet.ask("waiting") and time.monotonic() < until:
            time.sleep(0.3)
        self._hear_witnesses()
        after = self.fleet.ask("counts")
        for name in ("entities", "versions closed", "removals"):
            if before[name] != after[name]:
                self.outcome.note(
                    "not whole", [f"reading all anew changed {name}: {before[name]}, {after[name]}"]
                )
        self.outcome.note("lost (after reading all anew)", self.fleet.ask("differences", **self.truth()))
        for kind, texts in self.fleet.ask("faults").items():
            self.outcome.note(kind, texts)
        for driver in self.drivers:
            self.outcome.note(f"as {type(driver).__name__.lower()} found it", driver.verify())
        self.outcome.note("unclear answers", [f"{k}: {v}" for k, v in self.client.faults.items()])
        if self.client.faults:
            lines = self.fleet.log_of("web").splitlines()
            said = [line for line in lines if "exception" in line]
            self.outcome.note("what the web process said last", [line[-1500:] for line in said[-3:]])
        requests = {f"requests {name}": count for name, count in self.client.counts.items()}
        arrived = self.receiver.arrived
        sent = {"sent": len(arrived), "sent again": len(arrived) - len(set(arrived))}
        self.outcome.counts = {**after, "steps": sum(self.steps.values()), **sent, **requests}

    def _hear_witnesses(self) -> None:
        """Whoever follows the events has time to catch up; then each must have got what there was to get."""
        sealed: list[Sealed] = [tuple(row) for row in self.fleet.ask("sealed")]
        until = time.monotonic() + SETTLE
        witnesses: dict[str, Follower | Receiver] = {
            "feed over HTTP": self.follower,
            "webhook": self.receiver,
        }
        while not all(one.has_all(sealed) for one in witnesses.values()) and time.monotonic() < until:
            time.sleep(0.3)
        self.follower.stop()
        for name, witness in witnesses.items():
            self.outcome.note(name, witness.missed(sealed))
        self._wait_for_jobs()

    def _wait_for_jobs(self) -> None:
        until = time.monotonic() + 3 * LEASE + 60
        while (waiting := self.fleet.ask("open_jobs")) and time.monotonic() < until:
            time.sleep(0.3)
        self.outcome.note("stuck jobs", waiting)


@contextmanager
def stage(
    scenario: str,
    *,
    database: str,
    broker: str,
    seed: int,
    say: Say,
    data: Path | None = None,
    pages: bool = False,
) -> Iterator[Stage]:
    """An installation of its own, under no load yet.

    Args:
        database: ``sqlite`` or ``postgresql``.
        broker: ``folder`` or ``redis``.
        data: the data folder, where it is not to be in the temporary one.
        pages: whether people's pages will be asked for, too.

    Raises:
        ServerFailedError: PostgreSQL or Redis is needed and not installed.
    """
    outcome = Outcome(scenario, database, broker, seed)
    started = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="callboard-faults-")))
        home = data or folder / "data"
        home.mkdir(exist_ok=True)
        server = stack.enter_context(postgresql(durable=True)) if database == "postgresql" else None
        redis = stack.enter_context(redis_server()) if broker == "redis" else None
        files = FileServer(folder / "served")
        stack.callback(files.close)
        receiver = Receiver()
        stack.callback(receiver.close)
        host = stack.enter_context(serving(folder / "git"))
        fleet = Fleet(
            folder,
            server.url if server else f"sqlite:///{home}/callboard.sqlite3",
            redis_url=redis.url if redis else "",
            reach=",".join((files.address.removeprefix("http://"), receiver.address, host)),
            data=home,
        )
        stack.callback(fleet.stop)
        pushed = Pushed(folder / "git" / "pushed", f"http://{host}/pushed/.git", seed + 6)
        trees = usual_trees(folder / "sources", seed)
        made = Stage(fleet, trees, pushed, files, receiver, outcome, say, server, redis)
        made.set_up(pages=pages)
        yield made
        outcome.seconds = time.monotonic() - started
