"""``GET /api/catalog/v1/entities``: pages of any list, and files of it."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient, Client

from portal.audit.models import AuditEvent
from tests.factories.access import StaffFactory, TokenFactory, UserFactory
from tests.factories.catalog import document, store

ADDRESS = "/api/catalog/v1/entities"
HEADERS = {"Authorization": "Bearer cb_member"}


@pytest.fixture
def member(db: None) -> Client:
    TokenFactory(user=UserFactory(), text="cb_member")
    store(
        [
            document(
                f"c{n}",
                tags=["java"] if n % 2 else [],
                spec={"type": "service", "lifecycle": "production"},
                relations=[("ownedBy", "group:default/team")] if n < 5 else [],
            )
            for n in range(7)
        ]
        + [document("gate", kind="API", title="Zebra")]
    )
    return Client(headers=HEADERS)


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [item["metadata"]["name"] for item in answer.json()["items"]]


def test_pages_follow_each_other_to_the_end(member: Client) -> None:
    found, cursor = [], ""
    while True:
        answer = member.get(ADDRESS, {"limit": 3, "sort": "-name", **({"cursor": cursor} if cursor else {})})
        found += names(answer)
        assert answer.json()["totalItems"] == 8
        cursor = answer.json()["pageInfo"].get("nextCursor", "")
        if not cursor:
            break
    assert found == ["gate", "c6", "c5", "c4", "c3", "c2", "c1", "c0"]


def test_the_grammar_of_stock_and_the_words_of_the_portal_narrow_together(member: Client) -> None:
    both = {"filter": "kind=component,metadata.tags=java", "owner": "group:default/team"}
    assert names(member.get(ADDRESS, both)) == ["c1", "c3"]
    assert names(member.get(ADDRESS, {"owner": "none", "kind": "component"})) == ["c5", "c6"]
    assert names(member.get(ADDRESS, {"kind": "-component"})) == ["gate"]
    assert names(member.get(ADDRESS, {"q": "zebra"})) == ["gate"]
    assert names(member.get(ADDRESS, {"state": "missing"})) == []


def test_fields_keep_only_what_they_name(member: Client) -> None:
    answer = member.get(ADDRESS, {"kind": "api", "fields": "metadata.name,kind"})
    assert answer.json()["items"] == [{"metadata": {"name": "gate"}, "kind": "API"}]


@pytest.mark.parametrize(
    "query",
    ["colour=red", "sort=size", "format=xlsx", "limit=0", "cursor=x", "format=csv&limit=3", "filter==x"],
)
def test_what_nobody_knows_is_an_error(member: Client, query: str) -> None:
    answer = member.get(f"{ADDRESS}?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"]


def test_a_file_has_the_whole_list_its_name_and_its_length(member: Client) -> None:
    answer = member.get(f"{ADDRESS}?format=ndjson&kind=component&sort=-name")

    assert (answer["Content-Type"], answer["X-Total-Count"]) == ("application/x-ndjson", "7")
    assert answer["Content-Disposition"] == 'attachment; filename="entities.ndjson"'
    lines = b"".join(answer.streaming_content).splitlines()
    assert [orjson.loads(line)["metadata"]["name"] for line in lines] == [f"c{n}" for n in range(6, -1, -1)]


def test_an_export_is_audited_and_a_page_is_not(member: Client) -> None:
    names(member.get(ADDRESS))
    assert not AuditEvent.objects.filter(verb="catalog.entities.exported").exists()

    list(member.get(f"{ADDRESS}?format=csv&owner=group:default/team").streaming_content)

    event = AuditEvent.objects.get(verb="catalog.entities.exported")
    assert event.actor.startswith("user:person")
    assert event.after["question"] == "format=csv&owner=group:default/team"
    assert event.after["entities"] == 5


@pytest.mark.django_db(transaction=True)
def test_behind_asgi_a_file_is_sent_in_pieces_too(member: Client) -> None:
    async def read() -> tuple[bool, bytes]:
        answer = await AsyncClient().get(f"{ADDRESS}?format=ndjson", headers=HEADERS)
        assert answer.status_code == 200, answer.content
        body = b"".join([piece async for piece in answer.streaming_content])
        await sync_to_async(connections.close_all)()  # of the thread that read
        return answer.is_async, body

    in_pieces, body = asyncio.run(read())

    assert in_pieces
    assert len(body.splitlines()) == 8


def test_the_page_offers_exactly_its_list_as_files_and_as_a_feed(member: Client) -> None:
    client = Client()
    client.force_login(StaffFactory())

    page = client.get("/catalog/?kind=component&tag=java&sort=-name&q=c").content.decode()

    query = "kind=component&amp;tag=java&amp;q=c&amp;sort=-name"
    for format in ("csv", "ndjson", "yaml"):
        assert f'href="{ADDRESS}?{query}&amp;format={format}"' in page
    assert '<link rel="alternate" type="application/atom+xml"' in page
    assert page.count('href="/catalog/feed.atom?kind=component&amp;tag=java&amp;q=c"') == 2
    assert "htmx" in page
    answer = client.get(f"{ADDRESS}?{query.replace('&amp;', '&')}&format=csv")
    assert len(b"".join(answer.streaming_content).splitlines()) == 4
