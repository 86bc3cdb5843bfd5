"""One event for each entity that a publication changes, written in its transaction (docs/api/events.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from catalog.models import Source
from catalog.services.publishing.cause import Cause
from portal.events.services import publish as publish_events

CREATED = "catalog.entity.created"
CHANGED = "catalog.entity.changed"
RENAMED = "catalog.entity.renamed"
REMOVED = "catalog.entity.removed"
RESTORED = "catalog.entity.restored"

#: What changed, as ``part`` of a changed entity: what its source says, where that stands, the relations that others
#: declare, the error of its last reading, whether its source can be read.
CONTENT, PLACE, RELATIONS, STATUS, STATE = "content", "place", "relations", "status", "state"


class Announcements:
    """Events of one transaction, in the order in which they happened."""

    def __init__(self, source: Source | None, cause: Cause) -> None:
        self._events: list[tuple[str, str, dict[str, Any]]] = []
        self._source = str(source.pk) if source is not None else None
        self._cause = cause

    def add(self, kind: str, ref: str, uid: UUID, revision: int, **more: object) -> None:
        self._events.append(
            (
                kind,
                ref,
                {
                    "uid": str(uid),
                    "revision": revision,
                    "source": self._source,
                    "sync": self._cause.sync_id or None,
                    "actor": self._cause.actor or None,
                    **more,
                },
            )
        )

    def add_changed(self, part: str, entities: Iterable[tuple[str, UUID, int]]) -> None:
        for ref, uid, revision in entities:
            self.add(CHANGED, ref, uid, revision, part=part)

    def publish(self) -> None:
        publish_events(events=self._events)
