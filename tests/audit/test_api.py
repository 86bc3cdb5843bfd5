"""Programs of curators page through the audit record and take it out as a whole; that is recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from portal.audit.models import AuditEvent
from portal.audit.services import record, seal
from tests.factories.access import StaffFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.req("R123")]
EVENTS, EXPORT = "/api/audit/v1/events", "/api/audit/v1/export"


@pytest.fixture
def curator() -> Client:
    browser = Client()
    browser.force_login(StaffFactory(username="curator"))
    for number in range(7):
        verb = "catalog.source.created" if number % 2 else "catalog.kind.switched"
        record(actor=f"user:{number % 3}", verb=verb, object_type="test.thing", object_id=str(number))
    seal()
    return browser


def _ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [item["object"]["id"] for item in answer.json()["items"]]


def test_pages_go_from_the_newest_to_the_oldest_without_gaps(curator: Client) -> None:
    seen, cursor = [], ""
    while cursor is not None:
        answer = curator.get(EVENTS, {"limit": 3} | ({"cursor": cursor} if cursor else {}))
        seen += _ids(answer)
        record(actor="x", verb="y", object_type="t", object_id="newer")
        cursor = answer.json()["nextCursor"]
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"actor": "user:1"}, ["4", "1"]),
        ({"verb": "catalog.source.*"}, ["5", "3", "1"]),
        ({"verb": "catalog.source"}, []),
        ({"objectType": "test.thing", "objectId": "2"}, ["2"]),
        ({"requestId": "none"}, []),
        ({"since": "2200-01-01T00:00:00Z"}, []),
        ({"until": "2000-01-01T00:00:00+02:00"}, []),
        ({"actor": "user:1", "verb": "catalog.k*"}, ["4"]),
    ],
)
def test_filters_narrow_pages_and_exports_alike(
    curator: Client, asked: dict[str, str], expected: list[str]
) -> None:
    assert _ids(curator.get(EVENTS, asked)) == expected
    lines = curator.get(EXPORT, asked).getvalue().splitlines()
    assert [json.loads(line)["object"]["id"] for line in lines] == expected[::-1]


@pytest.mark.parametrize(
    "asked",
    [
        "since=yesterday",
        "limit=1001",
        "cursor=bm8=",
        "cursor=ISEh",
        "colour=red",
        "since=2026-01-01T00:00:00",
    ],
)
def test_what_cannot_be_meant_is_refused(curator: Client, asked: str) -> None:
    assert curator.get(f"{EVENTS}?{asked}").status_code == 400


def test_an_export_has_every_record_in_batches_and_is_one_itself(
    curator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.audit.selectors.BATCH", 3)
    lines = [
        json.loads(line) for line in curator.get(f"{EXPORT}?objectType=test.thing").getvalue().splitlines()
    ]
    assert [line["position"] for line in lines] == [1, 2, 3, 4, 5, 6, 7] and all(
        line["digest"] for line in lines
    )
    made = AuditEvent.objects.get(verb="audit.records.exported")
    assert (made.actor, made.after) == (
        "user:curator", {"format": "ndjson", "question": "objectType=test.thing"}
    )  # fmt: skip


def test_who_is_no_curator_gets_neither(curator: Client) -> None:
    browser = Client()
    browser.force_login(UserFactory())
    assert {browser.get(address).status_code for address in (EVENTS, EXPORT)} == {403}
    assert not AuditEvent.objects.filter(verb="audit.records.exported").exists()


def test_a_page_costs_one_statement_and_counts_nothing(
    curator: Client, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(3) as found:  # session, person, page
        curator.get(EVENTS)
    assert not any("COUNT(" in query["sql"] for query in found.captured_queries)
