"""Values that no database takes are errors of whoever sent them, on our own paths as on stock's."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from catalog.ingest.pushes.providers import read_event
from portal.core.paging import encode_cursor
from tests.factories.managed import Api, error, written

pytestmark = pytest.mark.django_db(transaction=True)
NOBODY = "00000000-0000-0000-0000-000000000000"
NAIVE = quote(encode_cursor(["2026-01-01T00:00:00", NOBODY]))


@pytest.mark.parametrize(
    "path",
    [
        "/api/jobs/v1/jobs?kind=%00",
        "/api/jobs/v1/jobs?subject=a%00b",
        f"/api/jobs/v1/jobs?cursor={NAIVE}",
        f"/api/catalog/v1/bulk?cursor={NAIVE}",
        "/api/catalog/v1/entities?q=%00",
        "/api/catalog/v1/entities?at=0001-01-01T00:00:00%2B23:00",
        "/api/catalog/v1/entities/component/default/a/at?time=0001-01-01T00:00:00%2B23:00",
    ],
)
def test_an_odd_parameter_is_refused(path: str) -> None:
    error(Api().get(path), 400)


def test_a_text_with_the_character_nul_is_refused_in_bodies_and_parameters() -> None:
    api = Api()
    assert api.post("/api/catalog/v1/refresh", {"source": "a\0"}).status_code == 400
    assert api.post("/api/catalog/v1/preview", {"source": "a\0"}).status_code == 400
    assert api.put("component/default/a?source=%00", written("a")).status_code == 400


def test_a_push_does_not_say_what_no_database_takes() -> None:
    body = b'{"repository":"https://git.example/a.git","branch":"ma\\u0000in","commit":"c\\u0000"}'
    event = read_event("generic", {}, body)
    assert [(change.name, change.commit) for change in event.changes] == [("", "")]
    assert read_event("generic", {}, b'{"sources":["\\u0000","shop"]}').sources == ("shop",)
