"""Pushes to a repository, told by signed webhooks; nothing else makes the installation read it."""

from __future__ import annotations

from typing import Any

import orjson

from catalog.bench.faults.drivers import Place, Usual, driver
from catalog.bench.faults.world import truth_of
from catalog.ingest.pushes.signatures import plain_signature

HOOKS = "/api/catalog/v1/inbound-hooks"


@driver("pushes")
class Pushes(Usual):
    """Commits, and delivers that until it is answered, always under the same id; now and then an old one again.

    Attributes:
        taken: ids that were acknowledged.
    """

    pause = 0.5

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.tree = place.pushed
        made = self.client.ask("POST", HOOKS, {"name": "bench", "provider": "generic"})
        self.hook = made.raise_for_status().json()
        self.taken: list[str] = []

    def step(self) -> str:
        if self.taken and self.random.random() < 0.25:
            verdict = self._deliver(self.random.choice(self.taken))
            if verdict != "duplicate":
                raise AssertionError(f"A delivery that was taken already came to {verdict!r}.")
            return "deliver again"
        self.tree.change()
        id = f"push-{self.tree.changes}"
        # "duplicate": an earlier try, whose answer did not reach us.
        if (verdict := self._deliver(id)) not in ("queued", "duplicate"):
            raise AssertionError(f"A push came to {verdict!r}.")
        self.taken.append(id)
        return "push"

    def _deliver(self, id: str) -> str:
        body = orjson.dumps({"repository": self.tree.address, "branch": "main", "default_branch": "main"})
        headers = {
            "Content-Type": "application/json",
            "X-Callboard-Delivery": id,
            "X-Callboard-Signature": f"sha256={plain_signature(body, self.hook['secret'])}",
        }
        answer = self.client.ask("POST", f"/api/catalog/v1/hooks/{self.hook['id']}", body, headers)
        verdict: str = answer.raise_for_status().json()["verdict"]
        return verdict

    def truth(self) -> dict[str, dict[str, Any]]:
        return truth_of([self.tree])

    def verify(self) -> list[str]:
        """Each delivery that was taken is there once, with the job that it queued."""
        found: list[str] = []
        wrong: list[str] = []
        address: str | None = f"{HOOKS}/{self.hook['id']}/deliveries?limit=200"
        while address:
            page = self.client.ask("GET", address).raise_for_status().json()
            for row in page["items"]:
                found.append(row["deliveryId"])
                if not any(target["job"] for target in row["targets"]):
                    wrong.append(f"the delivery {row['deliveryId']} queued nothing: {row['message']}")
            cursor = page["pageInfo"].get("nextCursor")
            address = f"{HOOKS}/{self.hook['id']}/deliveries?limit=200&cursor={cursor}" if cursor else None
        if sorted(found) != sorted(self.taken):
            wrong.append(f"{len(self.taken)} deliveries were taken, {len(found)} are there")
        return wrong
