"""What happens to an installation under load."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import httpx
import redis

from catalog.bench.faults.processes import ROLES
from catalog.bench.faults.stage import Outcome, Say, Stage, stage

#: Seconds between two kills, at most, beside those that a process needs to be at work again.
BETWEEN = 1.0
#: Seconds of load before and after something fails, and while it does.
AROUND = 6.0
DISK_MB = 64


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


@dataclass(frozen=True, slots=True)
class Outage:
    """A way in which something below an installation fails.

    Attributes:
        begin, end: make it fail, mend it.
        code: of the error that clients have to be told; empty where they must not notice.
        page: whether somebody who signs in has to see a page that says so.
    """

    text: str
    databases: tuple[str, ...]
    brokers: tuple[str, ...]
    begin: Callable[[Stage], None]
    end: Callable[[Stage], None]
    code: str = ""
    page: bool = False


def outage(name: str, *, database: str, broker: str, seed: int, say: Say) -> Outcome:
    """Something below the installation fails in the middle of the load and is mended; nobody else does anything.

    Raises:
        KeyError: there is no such outage.
    """
    kind = OUTAGES[name]
    with (
        _data_folder(full=name == "disk-full") as data,
        stage(name, database=database, broker=broker, seed=seed, say=say, data=data, pages=True) as on,
    ):
        with on.load():
            time.sleep(AROUND)
            say(f"{name}: it fails")
            kind.begin(on)
            try:
                _look(on, kind)
                time.sleep(AROUND)
            finally:
                kind.end(on)
            say(f"{name}: it is mended")
            time.sleep(AROUND)
        say(f"{name}: waiting for quiet")
        on.settle()
    return on.outcome


# ------------------------------------------------------------------------------------------------ what people are told


def _look(on: Stage, kind: Outage) -> None:
    """Programs and people are told what is wrong and what to do, within half a minute; or nothing is wrong for them."""
    code = kind.code
    until = time.monotonic() + (30 if code else 5)
    told = shown = ""
    while time.monotonic() < until and not (told and shown):
        name = f"component:default/{on.trees[0].anchor}"
        on.client.once("GET", f"/api/catalog/entities/by-name/{name.replace(':', '/')}")
        answer = on.client.once("POST", "/api/catalog/refresh", {"entityRef": name})
        if answer is not None and answer.status_code >= 500:
            told = answer.text
        page = _sign_in(on)
        if page.status_code >= 500:
            shown = page.text
            if page.status_code != 503 or "Not just now" not in shown or "Traceback" in shown:
                on.outcome.note("unclear page", [f"{page.status_code}: {shown[:300]}"])
        time.sleep(0.3)
    if code not in told or bool(code) != bool(told):
        on.outcome.note("unclear answers", [f"expected {code or 'no error'}, got {told[:300] or 'no error'}"])
    if kind.page != bool(shown):
        on.outcome.note(
            "unclear page", [f"expected {'one' if kind.page else 'no error'}, got {shown[:300] or 'none'}"]
        )


def _sign_in(on: Stage) -> httpx.Response:
    """What somebody sees who signs in, which reads and writes."""
    base = f"http://127.0.0.1:{on.fleet.port}"
    with httpx.Client(base_url=base, timeout=60, follow_redirects=True) as client:
        page = client.get("/accounts/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        if token is None:
            return page
        form = {"login": "bench", "password": on.password, "csrfmiddlewaretoken": token[1]}
        return client.post("/accounts/login/", data=form)


# ------------------------------------------------------------------------------------------------------------ outages


@contextmanager
def _data_folder(*, full: bool) -> Iterator[Path | None]:
    """A small disk of its own for the data folder, where that is to run full.

    Raises:
        RuntimeError: this machine lets us mount none.
    """
    if not full:
        yield None
        return
    folder = Path(mkdtemp(prefix="callboard-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        if mounted.returncode:
            raise RuntimeError(
                f"A disk that can run full needs the right to mount one: {mounted.stderr.strip()}"
            )
        yield folder
    finally:
        if not mounted.returncode:
            subprocess.run(["umount", "-l", folder], check=False, capture_output=True)
        folder.rmdir()


def may_mount() -> bool:
    """Whether a disk that runs full can be had here."""
    try:
        with _data_folder(full=True):
            return True
    except RuntimeError:
        return False


def _fill(on: Stage) -> None:
    data = Path(on.fleet.env["CALLBOARD_DATA_DIR"])
    with (data / "ballast").open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue  # smaller pieces still fit


def _make_room(on: Stage) -> None:
    (Path(on.fleet.env["CALLBOARD_DATA_DIR"]) / "ballast").unlink()


def _stop_postgresql(on: Stage) -> None:
    if on.postgresql is not None:
        on.postgresql.stop(
            signal.SIGQUIT
        )  # the "immediate" shutdown: as after a crash, nothing is written any more


def _start_postgresql(on: Stage) -> None:
    if on.postgresql is not None:
        on.postgresql.start()


def _flush_redis(on: Stage) -> None:
    if on.redis is not None:
        for _ in range(3):
            redis.Redis.from_url(on.redis.url).flushall()
            time.sleep(AROUND / 3)


def _stop_redis(on: Stage) -> None:
    if on.redis is not None:
        on.redis.stop(signal.SIGKILL)


def _start_redis(on: Stage) -> None:
    if on.redis is not None:
        on.redis.start()


def _nothing(on: Stage) -> None:
    """It mends itself."""


BOTH_DATABASES, BOTH_BROKERS = ("sqlite", "postgresql"), ("folder", "redis")
OUTAGES = {
    "postgresql-restart": Outage(
        "PostgreSQL stops at once and comes back", ("postgresql",), BOTH_BROKERS, _stop_postgresql,
        _start_postgresql, code="database.away", page=True,
    ),
    "redis-flush": Outage("Redis is emptied", BOTH_DATABASES, ("redis",), _flush_redis, _nothing),
    "redis-restart": Outage("Redis stops at once and comes back empty", BOTH_DATABASES, ("redis",), _stop_redis,
                            _start_redis, page=True),
    "disk-full": Outage("The disk of the data folder is full", ("sqlite",), ("folder",), _fill, _make_room,
                        code="storage.full", page=True),
}  # fmt: skip
