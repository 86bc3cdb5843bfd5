"""How long a change takes from its commit to the answer that shows it, through all processes."""

from __future__ import annotations

import http.client
import json
import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalog.bench.git_server import WorkingCopy
from catalog.bench.installation import Installation
from catalog.bench.load import BenchError
from catalog.ingest.pushes.signatures import plain_signature

# Between two looks. Looking all the time would take the processor that the sync needs.
PAUSE = 0.015
PATIENCE = 120.0
_HOOKS = "/api/catalog/v1"
NO_HEADERS: Mapping[str, str] = {}
_STEPS = """
import json
from portal.jobs.models import Job
rows = Job.objects.unrestricted("bench").filter(kind="catalog.sync_source").order_by("created_at")
done = [(r.result, r.started_at - r.created_at) for r in rows if r.result]
print(json.dumps([{**result, "claim": wait.total_seconds()} for result, wait in done]))
"""


@dataclass
class Client:
    """One connection to the web process."""

    port: int
    token: str
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = NO_HEADERS
    ) -> tuple[int, Any]:
        given = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        text = body if body is None or isinstance(body, bytes) else json.dumps(body)
        self.connection.request(method, path, text, given)
        answer = self.connection.getresponse()
        data = answer.read()
        return answer.status, json.loads(data) if data and answer.status < 300 else None

    def by_name(self, ref: str) -> dict[str, Any] | None:
        """An entity by ``kind:namespace/name``."""
        status, found = self.ask("GET", f"/api/catalog/entities/by-name/{ref.replace(':', '/', 1)}")
        if status not in (200, 404):
            raise BenchError(f"{ref} answered {status}.")
        return found if isinstance(found, dict) else None

    def refresh(self, ref: str) -> None:
        status, _ = self.ask("POST", "/api/catalog/refresh", {"entityRef": ref})
        if status != 200:
            raise BenchError(f"A refresh answered {status}.")


class Hook:
    """A Git host that tells of each push to a repository.

    Args:
        repository: its address.
    """

    def __init__(self, client: Client, repository: str) -> None:
        self.client, self.repository, self.count = client, repository, 0
        status, self.made = client.ask(
            "POST", f"{_HOOKS}/inbound-hooks", {"name": "b", "provider": "generic"}
        )
        if status != 201:
            raise BenchError(f"Making a webhook answered {status}.")

    def push(self, ref: str) -> None:
        """Tell of a push; to which entity does not matter."""
        self.count += 1
        body = {"repository": self.repository, "branch": "main", "default_branch": "main"}
        text = json.dumps(body).encode()
        headers = {
            "X-Callboard-Delivery": f"push-{self.count}",
            "X-Callboard-Signature": f"sha256={plain_signature(text, self.made['secret'])}",
        }
        status, answer = self.client.ask("POST", f"{_HOOKS}/hooks/{self.made['id']}", text, headers)
        if answer is None or answer["verdict"] != "queued":
            raise BenchError(f"A push was answered with {status}: {answer}.")


class Changes:
    """Edits files of a generated company and waits for the catalog to show it."""

    def __init__(self, copy: WorkingCopy, client: Client) -> None:
        self.copy, self.client = copy, client
        self.tell: Callable[[str], None] = client.refresh
        self.files = sorted(copy.folder.glob("repositories/*/catalog-info.yaml"))
        self.count = 0

    def change_one(self) -> float:
        """Seconds from telling of it to the answer that shows a changed file."""
        path = self._next()
        ref = _refs(path.read_text())[0]
        path.write_text(_edited(path.read_text(), self.count))
        self.copy.commit("A change")
        earlier = self.client.by_name(ref)
        if earlier is None:
            raise BenchError(f"{ref} is not there.")
        etag = earlier["metadata"]["etag"]

        def shows() -> bool:
            found = self.client.by_name(ref)
            return found is not None and found["metadata"]["etag"] != etag

        return self._wait(ref, shows)

    def remove_one(self) -> float:
        """Seconds from telling of it to the answer that there is no such entity."""
        path = self._next()
        documents = path.read_text().split("---\n")
        ref = _refs(documents[-1])[0]
        other = _refs(documents[0])[0]
        path.write_text("---\n".join(documents[:-1]))
        self.copy.commit("A removal")
        if self.client.by_name(ref) is None:
            raise BenchError(f"{ref} is not there.")
        return self._wait(other, lambda: self.client.by_name(ref) is None)

    def change_share(self, share: float) -> int:
        """Commit changes to all entities of as many files as have this share of all; returns how many entities."""
        changed, wanted = 0, int(share * sum(len(_refs(path.read_text())) for path in self.files))
        while changed < wanted:
            path = self._next()
            text = path.read_text()
            path.write_text("---\n".join(_edited(d, self.count) for d in text.split("---\n")))
            changed += len(_refs(text))
        self.copy.commit("Many changes")
        return changed

    def change_scattered(self, share: float) -> int:
        """Commit a change to one entity each of as many files; returns how many."""
        return self._scatter(share, _described)

    def shift_scattered(self, share: float) -> int:
        """The same by a line more in each file, so that everything below it stands at another place."""
        return self._scatter(share, _longer)

    def _scatter(self, share: float, edited: Callable[[str, int], str]) -> int:
        wanted = int(share * sum(len(_refs(path.read_text())) for path in self.files))
        for _ in range(min(wanted, len(self.files))):
            path = self._next()
            path.write_text(edited(path.read_text(), self.count))
        self.copy.commit("Scattered changes")
        return min(wanted, len(self.files))

    def _next(self) -> Path:
        self.count += 1
        return self.files[self.count * 7919 % len(self.files)]

    def _wait(self, ref: str, done: Any) -> float:
        started = time.perf_counter()
        self.tell(ref)
        while not done():
            if time.perf_counter() - started > PATIENCE:
                raise BenchError(f"{ref} did not change within {PATIENCE:g} s.")
            time.sleep(PAUSE)
        return time.perf_counter() - started


def figures(seconds: list[float]) -> dict[str, float]:
    """p50, p95 and the slowest, in seconds."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {
        "p50": statistics.median(ordered),
        "p95": ordered[min(round(last * 0.95), last)],
        "max": ordered[last],
    }


def steps(installation: Installation, count: int) -> dict[str, float]:
    """Median milliseconds of each step of the last syncs that changed something."""
    rows = json.loads(installation.manage("shell", "--no-imports", "-c", _STEPS).splitlines()[-1])[-count:]
    found = {"claim": statistics.median(row["claim"] * 1000 for row in rows)}
    names = dict.fromkeys(name for row in rows for name in row.get("steps", {}))
    for name in names:
        found[name] = statistics.median(row["steps"].get(name, 0) for row in rows)
    return {name: round(value, 1) for name, value in found.items()}


def _refs(text: str) -> list[str]:
    """References of the generated documents in a text."""
    found = []
    for document in text.split("---\n"):
        kind = re.search(r"^kind: (\w+)", document, re.M)
        name = re.search(r"^  name: (\S+)", document, re.M)
        namespace = re.search(r"^  namespace: (\S+)", document, re.M)
        if kind and name:
            found.append(f"{kind[1]}:{namespace[1] if namespace else 'default'}/{name[1]}".lower())
    return found


def _described(text: str, number: int) -> str:
    """The first document with another description, on the same line."""
    return re.sub(
        r"^(  description: .*?)( Edition \d+\.)?$", rf"\1 Edition {number}.", text, count=1, flags=re.M
    )


def _longer(text: str, number: int) -> str:
    """The same, and a line more below it."""
    return re.sub(r"^(  description: .*)$", rf"\1 Longer {number}.\n  # {number}", text, count=1, flags=re.M)


def _edited(text: str, number: int) -> str:
    """The first document with another annotation."""
    mark = "    example.com/edition: "
    if mark in text:
        return re.sub(rf"{mark}\S+", f'{mark}"{number}"', text, count=1)
    if "\n  annotations:\n" in text.split("---\n", 1)[0]:
        return text.replace("\n  annotations:\n", f'\n  annotations:\n{mark}"{number}"\n', 1)
    return re.sub(r"^(  name: \S+\n)", rf'\1  annotations:\n{mark}"{number}"\n', text, count=1, flags=re.M)
