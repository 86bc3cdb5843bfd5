"""A small believable catalog, and the people who look at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Entity
from catalog.services.kinds import install_shipped_kinds
from portal.access.models import Membership, User
from tests.factories.access import GroupFactory, PrincipalFactory, StaffFactory, UserFactory
from tests.factories.catalog import document, store

#: No page may need more (issue: at most 12 statements for any list or entity page).
MOST_STATEMENTS = 12
BOOKINGS, FARES = "group:default/bookings", "group:default/fares"

OPENAPI = """\
openapi: 3.0.3
info: {title: Bookings, version: 3.1.0}
servers: [{url: https://api.example.org/bookings}]
paths:
  /bookings:
    get: {summary: List bookings, tags: [bookings]}
    post: {summary: Book <now>, deprecated: true}
"""


@pytest.fixture
def catalog(db: None) -> dict[str, Entity]:
    """Two teams, a system, five components, an API and a database; one owner and one dependency lead nowhere."""
    install_shipped_kinds()
    shipped = store(
        [
            document(
                "bookings",
                kind="Group",
                title="Bookings",
                spec={"type": "team", "children": []},
                relations=[("hasMember", "user:default/maren"), ("ownerOf", "component:default/booking-api")],
            ),
            document("fares", kind="Group", title="Fares", spec={"type": "team", "children": []}),
            document(
                "maren",
                kind="User",
                spec={
                    "memberOf": ["bookings"],
                    "profile": {"displayName": "Maren Holt", "email": "maren@example.org"},
                },
                relations=[("memberOf", BOOKINGS)],
            ),
            document(
                "reservations",
                kind="System",
                spec={"owner": "bookings"},
                relations=[("ownedBy", BOOKINGS), ("hasPart", "component:default/booking-api")],
            ),
            document(
                "booking-api",
                description="Takes and changes bookings.",
                tags=["kotlin", "pci"],
                annotations={
                    "backstage.io/view-url": "https://git.example.org/booking-api/catalog-info.yaml"
                },
                links=[
                    {"url": "https://dash.example.org/b", "title": "Dashboard", "icon": "dashboard"},
                    {"url": "javascript:alert(1)", "title": "Bad link"},
                ],
                spec={
                    "type": "service",
                    "lifecycle": "production",
                    "owner": "bookings",
                    "system": "reservations",
                },
                relations=[
                    ("ownedBy", BOOKINGS),
                    ("partOf", "system:default/reservations"),
                    ("dependsOn", "resource:default/booking-db"),
                    ("dependsOn", "resource:default/nowhere"),
                    ("dependencyOf", "component:default/booking-web"),
                    ("providesApi", "api:default/bookings"),
                ],
            ),
            document(
                "booking-web",
                title="Booking site",
                tags=["typescript"],
                spec={"type": "website", "lifecycle": "production", "owner": "bookings"},
                relations=[("ownedBy", BOOKINGS), ("dependsOn", "component:default/booking-api")],
            ),
            document(
                "fare-engine",
                tags=["kotlin"],
                spec={"type": "service", "lifecycle": "experimental", "owner": "fares"},
                relations=[("ownedBy", FARES)],
            ),
            document(
                "lost-and-found",
                spec={"type": "service", "lifecycle": "production", "owner": "gone"},
                relations=[("ownedBy", "group:default/gone")],
            ),
            document("orphan", namespace="legacy", spec={"type": "service", "lifecycle": "deprecated"}),
            document(
                "bookings",
                kind="API",
                title="Bookings API",
                spec={
                    "type": "openapi",
                    "lifecycle": "production",
                    "owner": "bookings",
                    "definition": OPENAPI,
                },
                relations=[("ownedBy", BOOKINGS), ("apiProvidedBy", "component:default/booking-api")],
            ),
            document(
                "booking-db",
                kind="Resource",
                spec={"type": "database", "owner": "bookings"},
                relations=[("ownedBy", BOOKINGS), ("dependencyOf", "component:default/booking-api")],
            ),
        ]
    )
    return {entity.ref: entity for entity in shipped}


@pytest.fixture
def person(db: None) -> User:
    """Maren, who belongs to Bookings."""
    user = UserFactory(username="maren", first_name="Maren", last_name="Holt")
    member = PrincipalFactory(ref="user:default/maren", user=user, title="Maren Holt")
    Membership.objects.create(
        member=member, group=GroupFactory(ref=BOOKINGS, title="Bookings"), source="test"
    )
    return user


@pytest.fixture
def reader(client: Client, person: User) -> Client:
    """A browser in which Maren is signed in."""
    client.force_login(person)
    return client


@pytest.fixture
def curator(db: None) -> Client:
    """A browser in which somebody with staff rights is signed in."""
    client = Client()
    client.force_login(StaffFactory())
    return client


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Callable[[Client, str], int]:
    """Counts the SQL statements of a page.

    The test runs inside a transaction, where the query remembers no counts: this is what a page costs at worst.
    """
    monkeypatch.setattr("portal.plugins.registry.SWITCH_SECONDS", 3_600.0)  # read once a second, by some page

    def count(client: Client, address: str) -> int:
        assert client.get(address).status_code == 200
        with CaptureQueriesContext(connection) as caught:
            client.get(address)
        return len(caught)

    return count


def text_of(response: Any) -> str:
    """The page as text."""
    text: str = response.content.decode()
    return text
