"""Bulk operations on entities that are kept in the installation, some of them disturbed, some of them undone."""

from __future__ import annotations

from typing import Any

from catalog.bench.faults.drivers import driver
from catalog.bench.faults.writes import ENTITIES, Keeping, patched, patiently

BULK = "/api/catalog/v1/bulk"
#: What somebody writes who comes between the start of an operation and its job.
BY_HAND = "bench.callboard/by-hand"
Document = dict[str, Any]


@driver("bulks")
class Bulks(Keeping):
    """Previews, starts, waits for the end, and holds what became of each entity against what it says then."""

    prefix, pause, count = "many", 0.3, 16

    def step(self) -> str:
        if len(self.kept) < self.count // 2:
            name = self.random.choice([name for name in self.names if name not in self.kept])
            document = self.made_up(name)
            self.write("PUT", name, document, document)
            return "create"
        names = self.random.sample(sorted(self.kept), self.random.randint(2, self.count // 2))
        before = {name: self.kept[name].document for name in names}
        verb = self.random.choice(["set", "set", "delete", "refresh"])
        mark = self.random.randrange(10**9)
        patch, _ = patched(before[names[0]], mark)
        operation = self._start(names, {verb: patch if verb == "set" else {}})
        if verb == "refresh":
            self._ended(operation)
            return "bulk refresh"
        touched = names[0] if self.random.random() < 0.4 and self._touch(names[0], mark) else ""
        after: dict[str, Document | None] = {
            name: patched(text, mark)[1] if verb == "set" else None for name, text in before.items()
        }
        done = self._settle(self._ended(operation), after, touched, by_hand=str(mark))
        if not done or self.random.random() < 0.5:
            return f"bulk {verb}"
        answer = self.post(f"{BULK}/{operation}/undo", {})
        if answer.status_code != 202:
            raise AssertionError(f"undo: {answer.status_code} {answer.text[:300]}")
        self._settle(self._ended(answer.json()["id"]), {name: before[name] for name in done}, touched)
        return f"undo {verb}"

    def _start(self, names: list[str], do: Document) -> str:
        body = {"select": {"refs": [f"component:default/{name}" for name in names]}, "do": do}
        preview = self.client.ask("POST", BULK, body).raise_for_status().json()
        answer = self.post(BULK, {**body, "preview": False, "token": preview["token"]})
        if answer.status_code != 202:
            raise AssertionError(f"bulk: {answer.status_code} {answer.text[:300]}")
        id: str = answer.json()["id"]
        return id

    def _touch(self, name: str, mark: int) -> bool:
        """Change one of them while the operation runs. The same patch again makes no version. Whether it was there."""
        patch = {"metadata": {"annotations": {BY_HAND: str(mark)}}}
        answer = self.client.ask("PATCH", f"{ENTITIES}/{name}", patch)
        if answer.status_code not in (200, 404):
            raise AssertionError(f"PATCH {name}: {answer.status_code} {answer.text[:300]}")
        return answer.is_success

    def _ended(self, operation: str) -> list[Document]:
        """Its items, once it is over."""
        found: Document = {"state": "running"}
        for _ in patiently(f"The operation {operation}"):
            found = self.client.ask("GET", f"{BULK}/{operation}?limit=500").raise_for_status().json()
            if found["state"] != "running":
                break
        items: list[Document] = found["items"]
        return items

    def _settle(
        self, items: list[Document], after: dict[str, Document | None], touched: str, *, by_hand: str = ""
    ) -> list[str]:
        """Remember what each entity says now. Returns those that were done.

        Args:
            after: what each says once it is done.
            touched: the one that somebody else changed meanwhile: it may have been refused.
            by_hand: what that one says besides, where that is not known yet.
        """
        done = []
        if sorted(after) != sorted(item["ref"].rpartition("/")[2] for item in items):
            raise AssertionError(f"It was about {sorted(after)}, and did {items}")
        for item in items:
            name, versions = item["ref"].rpartition("/")[2], 0
            restored = name not in self.kept
            document = None if restored else self.kept[name].document
            if item["outcome"] == "done":
                done.append(name)
                document, versions = after[name], 1
            elif item["outcome"] != "refused" or name != touched:
                raise AssertionError(f"{name}: {item}")
            if name == touched and by_hand and document is not None:
                document, versions = _by_hand(document, by_hand), versions + 1
            self.note(name, document, versions=versions, restored=restored)
        return done


def _by_hand(document: Document, mark: str) -> Document:
    metadata = document["metadata"]
    return {**document, "metadata": {**metadata, "annotations": {**metadata["annotations"], BY_HAND: mark}}}
