"""A viewer, and catalogs that last for one example of a property."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import transaction

from portal.access.viewer import Viewer
from tests.factories.catalog import store

VIEWER = Viewer(actor="user:somebody", name="Somebody", user_id=1)


@contextmanager
def stored(documents: Sequence[dict[str, Any]]) -> Iterator[None]:
    """The documents are in the catalog inside the block, and nowhere after it."""
    with transaction.atomic():
        store(documents)
        yield
        transaction.set_rollback(True)
