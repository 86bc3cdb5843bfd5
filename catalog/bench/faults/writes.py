"""Entities that are kept in the installation: written one at a time, as a careful client does it.

Acknowledged is what counts. What got no answer may have happened or not; the client looks, and sends it again under the
condition that nothing happened.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from catalog.bench.faults.checks import declared
from catalog.bench.faults.client import PATIENCE, NoAnswerError
from catalog.bench.faults.drivers import Place, Usual, driver
from catalog.bench.faults.world import OWNERS, Thing

ENTITIES = "/api/catalog/v1/entities/component/default"
#: The source that keeps what is written.
SOURCE = "Callboard"


@dataclass(frozen=True, slots=True)
class Kept:
    """An entity as somebody saw it last."""

    document: dict[str, Any]
    etag: str
    number: int


class Keeping(Usual):
    """A client that is alone with its entities and remembers what was acknowledged.

    Attributes:
        kept: name -> what it says; names that it does not have are not there.
        removed: what it said when it was removed.
    """

    prefix = ""
    count = 12

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.kept: dict[str, Kept] = {}
        self.removed: dict[str, Kept] = {}
        self.names = [f"{self.prefix}-{number}" for number in range(self.count)]

    def truth(self) -> dict[str, dict[str, Any]]:
        return {
            f"component:default/{name}": {"source": SOURCE, "document": kept.document}
            for name, kept in self.kept.items()
        }

    def verify(self) -> list[str]:
        """Each has the version number that its writes come to: none was done twice."""
        seen = {name: self.look(name) for name in self.names}
        return [
            f"{name} was left as {self.kept.get(name)} and is {found}"
            for name, found in seen.items()
            if found != self.kept.get(name)
        ]

    def made_up(self, name: str) -> dict[str, Any]:
        mark, owner = self.random.randrange(10**9), self.random.choice(OWNERS)
        return Thing(name, mark, owner, [], ["kept"]).document()

    def look(self, name: str) -> Kept | None:
        """What it says now; only its own client changes it."""
        answer = self.client.ask("GET", f"{ENTITIES}/{name}")
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        newest = self.client.ask("GET", f"{ENTITIES}/{name}/revisions?limit=1").raise_for_status().json()
        return Kept(declared(answer.text), _etag(answer), newest["items"][0]["number"])

    def write(self, method: str, name: str, body: Any, wanted: dict[str, Any] | None) -> None:
        """Write one entity until it is certain that it was written, once.

        Args:
            wanted: what it says afterwards; None where it is gone.
        """
        before = self.kept.get(name)
        condition = {"If-Match": f'"{before.etag}"'} if before else {"If-None-Match": "*"}
        unsure = False
        for _ in patiently(f"{method} {name}"):
            answer = self.client.once(method, f"{ENTITIES}/{name}", body, condition)
            if answer is None or answer.status_code >= 500:
                unsure = True
            elif answer.is_success:
                break
            elif not (unsure and answer.status_code in (404, 412)):
                raise AssertionError(f"{method} {name}: {answer.status_code} {answer.text[:300]}")
            now = self.look(name)
            if (now.document if now else None) == wanted:
                break  # an earlier try did it
            if now != before:
                raise AssertionError(f"{name} was {before} and should be {wanted}, but is {now}")
        self.note(name, wanted)

    def note(
        self, name: str, wanted: dict[str, Any] | None, *, versions: int = 1, restored: bool = False
    ) -> None:
        """Remember what was acknowledged, and see that it is there: exactly this text, after so many more versions."""
        before, now = self.kept.pop(name, None), self.look(name)
        if wanted is None:
            if now is not None or before is None:
                raise AssertionError(f"{name} was removed and is {now}")
            self.removed[name] = before
            return
        if restored:
            before = self.removed[name]
        number = before.number + versions if before else 1
        if now is None or (now.document, now.number) != (wanted, number):
            raise AssertionError(f"{name} should be version {number}, {wanted}, but is {now}")
        self.kept[name] = now
        self.removed.pop(name, None)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        """A POST that is sent again under the same key until it is answered; answered ones now and then as well."""
        headers = {"Idempotency-Key": str(UUID(int=self.random.getrandbits(128)))}
        answer = self.client.ask("POST", path, body, headers)
        for _ in patiently(f"POST {path}"):
            # A process that was killed leaves its mark for a minute.
            if answer.status_code != 409 or "api.idempotency.under-way" not in answer.text:
                break
            answer = self.client.ask("POST", path, body, headers)
        if answer.is_success and self.random.random() < 0.3:
            again = self.client.ask("POST", path, body, headers)
            if (again.status_code, again.content) != (answer.status_code, answer.content):
                raise AssertionError(f"POST {path} again: {again.status_code} {again.text[:300]}")
        return answer


@driver("writes")
class Writes(Keeping):
    """Creates, replaces, patches, deletes and restores."""

    prefix, pause = "kept", 0.3

    def step(self) -> str:
        name = self.random.choice(self.names)
        if name not in self.kept:
            if name in self.removed and self.random.random() < 0.5:
                return self._restore(name)
            document = self.made_up(name)
            self.write("PUT", name, document, document)
            return "create"
        chance = self.random.random()
        if chance < 0.2:
            self.write("DELETE", name, None, None)
            return "remove"
        if chance < 0.6:
            document = self.made_up(name)
            self.write("PUT", name, document, document)
            return "replace"
        patch, document = patched(self.kept[name].document, self.random.randrange(10**9))
        self.write("PATCH", name, patch, document)
        return "patch"

    def _restore(self, name: str) -> str:
        answer = self.post(f"{ENTITIES}/{name}/restore")
        if not answer.is_success:
            raise AssertionError(f"restore {name}: {answer.status_code} {answer.text[:300]}")
        self.note(name, self.removed[name].document, restored=True)
        return "restore"


def patched(document: dict[str, Any], mark: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A merge patch, and what it makes of a document."""
    patch = {
        "metadata": {"description": f"Version {mark}", "annotations": {"bench.callboard/mark": str(mark)}}
    }
    metadata = document["metadata"]
    notes = {**metadata["annotations"], "bench.callboard/mark": str(mark)}
    return patch, {
        **document, "metadata": {**metadata, "description": f"Version {mark}", "annotations": notes},
    }  # fmt: skip


def _etag(answer: httpx.Response) -> str:
    return answer.headers["ETag"].strip('"')


def patiently(what: str) -> Iterator[None]:
    """Tries, for as long as a client may hope.

    Raises:
        NoAnswerError: it is over.
    """
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        yield
        time.sleep(0.2)
    raise NoAnswerError(f"{what} did not become certain in {PATIENCE:.0f} s.")
