"""What sources say, changed at random and remembered: the truth that the catalog has to come to."""

from __future__ import annotations

import os
import random
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

OWNERS = ("platform", "payments", "search", "mobile")
MOST_THINGS = 30
FEWEST_FILES = 4


@dataclass(slots=True)
class Thing:
    """A component that a file declares; ``mark`` is another one after every change."""

    name: str
    mark: int
    owner: str
    depends: list[str]
    tags: list[str]

    @property
    def ref(self) -> str:
        return f"component:default/{self.name}"

    def document(self) -> dict[str, Any]:
        return {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Component",
            "metadata": {
                "name": self.name,
                "description": f"Version {self.mark} of {self.name}",
                "annotations": {"bench.callboard/mark": str(self.mark)},
                "tags": self.tags,
            },
            "spec": {
                "type": "service",
                "lifecycle": "production",
                "owner": self.owner,
                "dependsOn": [f"component:{name}" for name in self.depends],
            },
        }


@dataclass
class Tree:
    """A folder of descriptors that somebody keeps changing, and the source that reads it.

    Files appear and change in one step, as editors and checkouts do it.

    Attributes:
        name: of the source, unique.
        names: what its components may be called; another tree with the same names contends with this one.
        interval: seconds between two scheduled readings; 0 for a source that is read on demand only.
        priority: the smaller one wins a contended name.
    """

    name: str
    folder: Path
    seed: int
    names: tuple[str, ...]
    interval: int = 0
    priority: int = 100
    type: str = "file"
    files: dict[str, list[Thing]] = field(default_factory=dict)
    changes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311  (made-up data, no secret)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write("anchor.yaml", [self._thing(self.anchor)])
        for _ in range(FEWEST_FILES * 2):
            self._add()

    @property
    def anchor(self) -> str:
        """A component that never goes: a client asks for a reading of the source by its name."""
        return f"anchor-{self.name}"

    @property
    def source(self) -> dict[str, Any]:
        """As a file of sources lists it."""
        return {
            "name": self.name,
            "target": str(self.folder),
            "type": self.type,
            "pattern": "**/*.yaml",
            "interval": self.interval,
            "priority": self.priority,
        }

    def change(self) -> str:
        """Do something to the files; returns what."""
        with self.lock:
            free = [p for p in self.files if p != "anchor.yaml"]
            crowded = sum(map(len, self.files.values())) >= MOST_THINGS
            steps = [self._edit, self._edit, self._edit]
            steps += [] if crowded else [self._add, self._grow]
            steps += [self._drop, self._move, self._hand_over] if len(free) > FEWEST_FILES else [self._add]
            step = self.random.choice(steps)
            step()
            self.changes += 1
            self._record(f"{step.__name__} {self.changes}")
            return step.__name__.strip("_")

    def truth(self) -> dict[str, dict[str, Any]]:
        """Reference -> what is declared there now."""
        with self.lock:
            return {thing.ref: thing.document() for things in self.files.values() for thing in things}

    # -------------------------------------------------------------------------------------------------------- changes

    def _thing(self, name: str) -> Thing:
        taken = [thing.name for things in self.files.values() for thing in things]
        depends = self.random.sample(taken, min(len(taken), self.random.randint(0, 3)))
        tags = self.random.sample(["java", "go", "python", "legacy"], self.random.randint(0, 2))
        return Thing(
            name, self.random.randrange(10**9), self.random.choice(OWNERS), sorted(depends), sorted(tags)
        )

    def _free_names(self) -> list[str]:
        taken = {thing.name for things in self.files.values() for thing in things}
        return [name for name in self.names if name not in taken]

    def _some_file(self) -> str:
        return self.random.choice(sorted(p for p in self.files if p != "anchor.yaml"))

    def _add(self) -> None:
        names = self._free_names()
        chosen = self.random.sample(names, min(len(names), self.random.randint(1, 3)))
        if chosen:
            path = f"{self.random.choice('abc')}/{chosen[0]}-{self.random.randrange(1000)}.yaml"
            self._write(path, [self._thing(name) for name in chosen])

    def _grow(self) -> None:
        if names := self._free_names():
            path = self._some_file()
            self._write(path, [*self.files[path], self._thing(self.random.choice(names))])

    def _edit(self) -> None:
        path = self.random.choice(sorted(self.files))
        things = list(self.files[path])
        place = self.random.randrange(len(things))
        things[place] = self._thing(things[place].name)
        self._write(path, things)

    def _drop(self) -> None:
        path = self._some_file()
        (self.folder / path).unlink()
        del self.files[path]

    def _move(self) -> None:
        path = self._some_file()
        other = f"{self.random.choice('abc')}/moved-{self.random.randrange(10**6)}.yaml"
        (self.folder / other).parent.mkdir(exist_ok=True)
        (self.folder / path).rename(self.folder / other)
        self.files[other] = self.files.pop(path)

    def _hand_over(self) -> None:
        """A component goes from one file to another; for a moment both declare it."""
        path, other = self._some_file(), self._some_file()
        if path == other or len(self.files[path]) < 2:
            return self._edit()
        *rest, last = self.files[path]
        self._write(other, [*self.files[other], last])
        self._write(path, rest)
        return None

    def _write(self, path: str, things: list[Thing]) -> None:
        target = self.folder / path
        target.parent.mkdir(exist_ok=True)
        draft = target.with_name(f".{target.name}.draft")
        draft.write_bytes(b"\n---\n".join(orjson.dumps(thing.document()) for thing in things))
        draft.replace(target)
        self.files[path] = things

    def _record(self, message: str) -> None:
        """For trees that keep a history."""


class Repository(Tree):
    """The same in Git: each change is a commit."""

    def __post_init__(self) -> None:
        self.type = "git"
        super().__post_init__()
        self._git("init", "-q", "-b", "main")
        self._record("first")

    def _record(self, message: str) -> None:
        self._git("add", "-A")
        self._git("-c", "user.name=bench", "-c", "user.email=bench@callboard.example", "commit", "-q",
                  "--allow-empty", "-m", message)  # fmt: skip

    def _git(self, *arguments: str) -> None:
        quiet = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", *arguments], cwd=self.folder, env=quiet, check=True, capture_output=True)


class Pushed(Repository):
    """The same on a host that serves it over HTTP.

    Args:
        address: at which the host serves the folder.
    """

    def __init__(self, folder: Path, address: str, seed: int) -> None:
        self.address = address
        super().__init__("pushed", folder, seed, names("pushed"))

    @property
    def source(self) -> dict[str, Any]:
        return {**super().source, "target": self.address}


def names(prefix: str, count: int = 60) -> tuple[str, ...]:
    return tuple(f"{prefix}-{number}" for number in range(count))


def usual_trees(folder: Path, seed: int) -> list[Tree]:
    """Sources of all sorts: on a schedule, on demand only, a repository, and two that contend for the same names."""
    contended = names("contended", 25)
    return [
        Tree("scheduled", folder / "scheduled", seed + 1, names("scheduled"), interval=3),
        Tree("asked", folder / "asked", seed + 2, names("asked")),
        Repository("repository", folder / "repository", seed + 3, names("repository"), interval=4),
        Tree("first", folder / "first", seed + 4, contended, priority=10),
        Tree("second", folder / "second", seed + 5, contended, priority=20),
    ]


def truth_of(trees: list[Tree]) -> dict[str, dict[str, Any]]:
    """Reference -> source (name) and document of what the catalog has to hold, contended names by priority."""
    found: dict[str, dict[str, Any]] = {}
    for tree in sorted(trees, key=lambda tree: tree.priority):
        for ref, document in tree.truth().items():
            found.setdefault(ref, {"source": tree.name, "document": document})
    return found
