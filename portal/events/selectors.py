"""Read the outbox."""

from __future__ import annotations

from portal.access.viewer import Viewer
from portal.events.models import Event


def events_after(viewer: Viewer, position: int, limit: int = 200) -> list[Event]:
    """Sealed events after ``position``, oldest first."""
    return list(Event.objects.visible_to(viewer).filter(position__gt=position).order_by("position")[:limit])
