from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.observability.middleware import forget_request


@pytest.fixture(autouse=True)
def _no_request_before_or_after() -> Iterator[None]:
    forget_request()
    yield
    forget_request()
