"""Kinds of load, and how to add one.

A driver is a class with the attributes of :class:`Driver`, registered with :func:`driver`. Each runs in a thread of
its own: ``step`` does one thing and returns only once that thing is certain (asked again until it was answered), so
that ``truth`` may count on it. A driver that needs addresses which this installation lacks says so in ``is_there``.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import orjson

from catalog.bench.faults.client import Client
from catalog.bench.faults.world import Pushed, Thing, Tree

REFRESH = "/api/catalog/refresh"
LOCATIONS = "/api/catalog/locations"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a driver works.

    Attributes:
        trees: sources that are read on a schedule or when somebody asks.
        pushed: a repository that is read when its host says that something was pushed, and never else.
        files: an address that serves ``folder`` to the installation.
    """

    client: Client
    trees: list[Tree]
    pushed: Pushed
    folder: Path
    files: str
    seed: int


class Driver(Protocol):
    """One kind of load.

    Attributes:
        pause: seconds between two steps, at most.
    """

    pause: float

    def __init__(self, place: Place) -> None: ...

    def is_there(self) -> bool:
        """Whether the installation has what this load needs."""

    def step(self) -> str:
        """Do one thing until it is certain. Returns its name, which is counted."""

    def truth(self) -> dict[str, dict[str, Any]]:
        """Reference -> ``source`` (its name or target) and ``document`` that the catalog has to hold by itself."""

    def locations(self) -> list[str]:
        """Targets that have to be registered over REST, and no others of this driver."""

    def verify(self) -> list[str]:
        """What is wrong once everything is quiet, beside the catalog itself: what clients can find out."""


DRIVERS: dict[str, Callable[[Place], Driver]] = {}


def driver(name: str) -> Callable[[type[Any]], type[Any]]:
    """Decorator: this class is the load ``name``."""

    def register(cls: type[Any]) -> type[Any]:
        DRIVERS[name] = cls
        return cls

    return register


class Usual:
    """What most loads have in common."""

    pause = 0.25

    def __init__(self, place: Place) -> None:
        self.place = place
        self.client = place.client
        self.random = random.Random(f"{place.seed}{type(self).__name__}")  # noqa: S311  (no secret)

    def is_there(self) -> bool:
        return True

    def truth(self) -> dict[str, dict[str, Any]]:
        return {}

    def locations(self) -> list[str]:
        return []

    def verify(self) -> list[str]:
        return []


@driver("files")
class Files(Usual):
    """Changes files of sources. Sources without a schedule are asked for a reading until that is acknowledged."""

    def step(self) -> str:
        tree = self.random.choice(self.place.trees)
        tree.change()
        if tree.interval == 0:
            refresh(self.client, tree.anchor)
        elif self.random.random() < 0.5:
            self.client.once("POST", REFRESH, {"entityRef": f"component:default/{tree.anchor}"})
        return "change"


def refresh(client: Client, name: str) -> None:
    """Ask for a reading until it is acknowledged. The anchor may be on its way: deleted by hand, not yet back."""
    said = ""
    for _ in range(200):
        answer = client.ask("POST", REFRESH, {"entityRef": f"component:default/{name}"})
        if answer.status_code == 200:
            return
        said = f"{answer.status_code} {answer.text[:300]}"
        threading.Event().wait(0.2)
    raise AssertionError(f"No reading for {name}: {said}")


@driver("registrations")
class Registrations(Usual):
    """Registers addresses over REST, changes what stands there, points registrations elsewhere, removes them."""

    pause = 0.5
    count = 6

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.folder = place.folder
        self.folder.mkdir(exist_ok=True)
        self.lock = threading.Lock()
        self.contents: dict[str, Thing] = {}  # file name -> what it declares
        self.registered: dict[str, str] = {}  # file name -> id
        for number in range(self.count):
            self._write(f"place-{number}.yaml")

    def step(self) -> str:
        name = f"place-{self.random.randrange(self.count)}.yaml"
        if name not in self.registered:
            self._register(name)
            return "register"
        what = self.random.choice(["unregister", "rewrite", "rewrite", "re-point"])
        if what == "unregister":
            self._unregister(name)
        elif what == "rewrite":
            self._write(name)
            refresh_or_wait(self.client, self.contents[name].name)
        else:
            free = [other for other in self.contents if other not in self.registered]
            if not free:
                return "nothing"
            self._point(name, self.random.choice(free))
        return what

    def _url(self, name: str) -> str:
        return f"{self.place.files}/{quote(name)}"

    def _register(self, name: str) -> None:
        body = {"type": "url", "target": self._url(name)}
        answer = self.client.ask("POST", LOCATIONS, body)
        if answer.status_code == 409:  # an earlier try, whose answer did not reach us
            listed = self.client.ask("GET", LOCATIONS).json()
            found = next(row["data"] for row in listed if row["data"]["target"] == body["target"])
        else:
            answer.raise_for_status()
            found = answer.json()["location"]
        with self.lock:
            self.registered[name] = found["id"]

    def _unregister(self, name: str) -> None:
        answer = self.client.ask("DELETE", f"{LOCATIONS}/{self.registered[name]}")
        if answer.status_code not in (204, 404):
            answer.raise_for_status()
        with self.lock:
            del self.registered[name]

    def _point(self, name: str, other: str) -> None:
        body = {"type": "url", "target": self._url(other)}
        self.client.ask("PUT", f"{LOCATIONS}/{self.registered[name]}", body).raise_for_status()
        with self.lock:
            self.registered[other] = self.registered.pop(name)

    def _write(self, name: str) -> None:
        stem = name.removesuffix(".yaml")
        thing = Thing(f"registered-{stem}", self.random.randrange(10**9), "platform", [], [])
        draft = self.folder / f".{name}.draft"
        draft.write_bytes(orjson.dumps(thing.document()))
        draft.replace(self.folder / name)
        with self.lock:
            self.contents[name] = thing

    def truth(self) -> dict[str, dict[str, Any]]:
        with self.lock:
            return {
                self.contents[name].ref: {
                    "source": self._url(name),
                    "document": self.contents[name].document(),
                }
                for name in self.registered
            }

    def locations(self) -> list[str]:
        with self.lock:
            return sorted(map(self._url, self.registered))


def refresh_or_wait(client: Client, name: str) -> None:
    """Ask for a reading; where the entity is not there yet, its first reading is still to come."""
    client.ask("POST", REFRESH, {"entityRef": f"component:default/{name}"})


@driver("deletions")
class Deletions(Usual):
    """Deletes entities by hand that are still declared: each comes back as a new one, so the truth is the same."""

    pause = 1.0

    def step(self) -> str:
        tree = self.random.choice(self.place.trees)
        refs = sorted(tree.truth())
        name = self.random.choice(refs).rpartition("/")[2]
        found = self.client.ask("GET", f"/api/catalog/entities/by-name/component/default/{name}")
        if found.status_code != 200:
            return "nothing"
        uid = found.json()["metadata"]["uid"]
        self.client.ask("DELETE", f"/api/catalog/entities/by-uid/{uid}").raise_for_status()
        return "delete"


class FileServer:
    """Serves a folder on loopback."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def send_head(self) -> Any:
        # Times in whole seconds: two changes in one second would look like one. Always send what is there.
        if "If-Modified-Since" in self.headers:
            del self.headers["If-Modified-Since"]
        return super().send_head()

    def send_header(self, keyword: str, value: str) -> None:
        if keyword != "Last-Modified":
            super().send_header(keyword, value)
