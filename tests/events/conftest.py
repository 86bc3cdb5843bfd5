from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.events.registry import event_types, everyone


@pytest.fixture(autouse=True)
def rules() -> Iterator[dict[str, object]]:
    """Types below ``tests`` are for everybody; what a test registers is gone afterwards."""
    before = dict(event_types._visible)
    event_types.register("tests", visible=everyone)
    yield event_types._visible
    event_types._visible.clear()
    event_types._visible.update(before)
