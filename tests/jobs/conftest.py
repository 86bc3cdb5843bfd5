from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from portal.jobs import doorbell
from tests.jobs import handlers as _handlers  # noqa: F401  (registers the kinds of jobs that the tests queue)


class Bell:
    """Remembers who rang; ``heard`` false stands for a broker that is away."""

    def __init__(self) -> None:
        self.rung: list[uuid.UUID] = []
        self.heard = True

    def ring(self, job_id: uuid.UUID) -> bool:
        if self.heard:
            self.rung.append(job_id)
        return self.heard


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bell]:
    """The doorbell without a broker."""
    made = Bell()
    monkeypatch.setattr(doorbell, "ring", made.ring)
    yield made
