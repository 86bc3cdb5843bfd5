"""The Atom feed of a list: what feed readers need, and who may read it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Entity
from catalog.presenters.feed import Feed, FeedEntry, as_atom
from catalog.services.kinds import install_shipped_kinds
from tests.catalog.views.conftest import MOST_STATEMENTS
from tests.factories.access import TokenFactory, UserFactory
from tests.factories.catalog import document, store

pytestmark = pytest.mark.django_db

ADDRESS = "/catalog/feed.atom"
ATOM = "{http://www.w3.org/2005/Atom}"
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def entities() -> list[Entity]:
    """Changed one minute after another."""
    install_shipped_kinds()
    found = store(
        [
            document("shop", title="The <shop> & more", relations=[("ownedBy", "group:default/team")]),
            document("till"),
            document("gate", kind="API"),
            document("team", kind="Group", title="Team"),
        ]
    )
    for n, entity in enumerate(found):
        at = START + timedelta(minutes=n)
        Entity.objects.filter(pk=entity.pk).update(created_at=START, changed_at=at)
    return found


@pytest.fixture
def reader() -> Client:
    TokenFactory(user=UserFactory(), text="cb_reader")
    return Client(headers={"Authorization": basic("anybody", "cb_reader")})


def basic(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def parsed(answer: Any) -> ElementTree.Element:
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "application/atom+xml; charset=utf-8"
    return ElementTree.fromstring(answer.content)


def texts(node: ElementTree.Element, path: str) -> list[str]:
    return [found.text or "" for found in node.findall(path.replace("/", f"/{ATOM}").replace("@", ATOM))]


def assert_is_atom(feed: ElementTree.Element) -> None:
    """What RFC 4287 asks of every feed and entry (4.1.1, 4.1.2, 4.2.6, 3.3)."""
    assert feed.tag == f"{ATOM}feed"
    ids = []
    for node in (feed, *feed.findall(f"{ATOM}entry")):
        for name in ("id", "title", "updated"):
            assert len(node.findall(f"{ATOM}{name}")) == 1, name
        found = node.find(f"{ATOM}id")
        assert found is not None and found.text
        assert urlsplit(found.text).scheme in ("urn", "http", "https")
        ids.append(found.text)
        for name in ("updated", "published"):
            for time in node.findall(f"{ATOM}{name}"):
                assert datetime.fromisoformat(time.text or "").tzinfo is not None
        alternates = [link for link in node.findall(f"{ATOM}link") if link.get("rel") == "alternate"]
        assert len(alternates) == 1
        for link in node.findall(f"{ATOM}link"):
            assert urlsplit(link.get("href", "")).scheme in ("http", "https")
    assert len(set(ids)) == len(ids)
    assert feed.find(f"{ATOM}author/{ATOM}name") is not None  # entries have none of their own
    times = [datetime.fromisoformat(text) for text in texts(feed, "@entry/updated")]
    assert times == sorted(times, reverse=True)


def test_a_feed_has_what_atom_asks_for_and_the_newest_changes_first(
    reader: Client, entities: list[Entity]
) -> None:
    feed = parsed(reader.get(ADDRESS))

    assert_is_atom(feed)
    assert texts(feed, "@entry/title") == [
        "Team changed", "gate changed", "till changed", "The <shop> & more is new",
    ]  # fmt: skip
    assert texts(feed, "@updated") == ["2026-03-01T12:03:00.000000Z"]
    links = [link.get("href") for link in feed.findall(f"{ATOM}entry/{ATOM}link")]
    assert links[-1] == "http://testserver/catalog/default/component/shop/"
    assert "Owner: Team." in texts(feed, "@entry/summary")[-1]


def test_a_feed_is_of_the_same_list_as_its_address(reader: Client, entities: list[Entity]) -> None:
    feed = parsed(reader.get(f"{ADDRESS}?kind=component&owner=group:default/team&sort=name"))

    assert_is_atom(feed)
    assert texts(feed, "@title") == ["Components: owner Team"]
    assert texts(feed, "@entry/title") == ["The <shop> & more is new"]
    own = [link.get("href") for link in feed.findall(f"{ATOM}link") if link.get("rel") == "self"]
    assert own == [f"http://testserver{ADDRESS}?kind=component&owner=group%3Adefault%2Fteam"]


def test_an_empty_list_is_a_feed_too(reader: Client) -> None:
    assert_is_atom(parsed(reader.get(f"{ADDRESS}?q=nothing")))


def test_at_most_fifty_changes_are_told(reader: Client) -> None:
    store([document(f"c{n}") for n in range(55)])

    assert len(parsed(reader.get(ADDRESS)).findall(f"{ATOM}entry")) == 50


def test_an_entry_keeps_its_id_until_its_entity_changes_again(reader: Client, entities: list[Entity]) -> None:
    before = texts(parsed(reader.get(ADDRESS)), "@entry/id")
    assert texts(parsed(reader.get(ADDRESS)), "@entry/id") == before

    Entity.objects.filter(pk=entities[0].pk).update(changed_at=START + timedelta(hours=1))

    after = texts(parsed(reader.get(ADDRESS)), "@entry/id")
    assert after[1:] == before[:3]
    assert after[0] not in before


def test_nothing_is_sent_to_who_has_it_already(reader: Client, entities: list[Entity]) -> None:
    first = reader.get(ADDRESS)
    by_etag = reader.get(ADDRESS, headers={"If-None-Match": first["ETag"]})
    by_time = reader.get(ADDRESS, headers={"If-Modified-Since": first["Last-Modified"]})
    assert (by_etag.status_code, by_etag.content, by_time.status_code) == (304, b"", 304)
    assert by_etag["ETag"] == first["ETag"]

    Entity.objects.filter(pk=entities[0].pk).update(changed_at=START + timedelta(hours=1))

    assert reader.get(ADDRESS, headers={"If-None-Match": first["ETag"]}).status_code == 200
    assert reader.get(ADDRESS, headers={"If-Modified-Since": first["Last-Modified"]}).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        basic("anybody", "cb_wrong"),
        basic("cb_reader", ""),
        "Basic !!!",
        "Basic ",
        "Bearer cb_wrong",
        "Digest cb_reader",
    ],
)
def test_strangers_are_asked_for_a_token_and_told_nothing(
    reader: Client, entities: list[Entity], header: str
) -> None:
    answer = Client(headers={"Authorization": header} if header else {}).get(ADDRESS)

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith('Basic realm="Callboard"')
    assert b"shop" not in answer.content


def test_a_token_in_the_address_opens_nothing(reader: Client) -> None:
    assert Client().get(f"{ADDRESS}?token=cb_reader").status_code == 401
    assert "cb_reader" not in reader.get(f"{ADDRESS}?token=cb_reader").content.decode()


def test_a_bearer_token_and_a_session_open_it_too(reader: Client, entities: list[Entity]) -> None:
    bearer = Client(headers={"Authorization": "Bearer cb_reader"})
    assert len(parsed(bearer.get(ADDRESS)).findall(f"{ATOM}entry")) == 4
    session = Client()
    session.force_login(UserFactory())
    assert len(parsed(session.get(ADDRESS)).findall(f"{ATOM}entry")) == 4
    assert session.get(ADDRESS, headers={"Authorization": "Bearer cb_wrong"}).status_code == 401


def test_a_password_opens_nothing(reader: Client) -> None:
    person = UserFactory(username="maren")
    person.set_password("a long enough one")
    person.save()

    assert (
        Client(headers={"Authorization": basic("maren", "a long enough one")}).get(ADDRESS).status_code == 401
    )


def test_a_feed_costs_few_statements(reader: Client, entities: list[Entity]) -> None:
    with CaptureQueriesContext(connection) as statements:
        parsed(reader.get(f"{ADDRESS}?owner=group:default/team"))
    assert len(statements) <= MOST_STATEMENTS


def test_characters_that_xml_cannot_hold_are_replaced() -> None:
    entry = FeedEntry("urn:x:1", "a\x00b\x0b", "https://a.example/", "\ufffe", START, START)

    body = as_atom(Feed("https://a.example/f", "t", "https://a.example/", "https://a.example/f", [entry]))

    assert texts(ElementTree.fromstring(body), "@entry/title") == ["a\ufffdb\ufffd"]
