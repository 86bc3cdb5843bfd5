"""Why a publication happens, for revisions, tombstones and events."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.models import Tombstone


@dataclass(frozen=True, slots=True)
class Cause:
    """Who or what changes the catalog.

    Attributes:
        actor: the person; empty for a sync, which the number of the sync names.
        sync_id: the sync; 0 for none.
        removal: value of ``Tombstone.Reason``, for entities that go.
    """

    actor: str = ""
    sync_id: int = 0
    removal: str = Tombstone.Reason.UNDECLARED
