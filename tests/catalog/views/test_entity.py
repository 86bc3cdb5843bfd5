"""The page of one entity."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from catalog.models import Entity, Source
from catalog.services.kinds import install_shipped_kinds
from portal.plugins.models import ExtensionState
from portal.plugins.points import EntityCard, EntityTab
from portal.plugins.registry import registry
from tests.catalog.views.conftest import MOST_STATEMENTS, text_of
from tests.factories.catalog import document, store

pytestmark = pytest.mark.django_db

API = "/catalog/default/component/booking-api/"


def test_the_overview_answers_who_what_and_where_from(catalog: dict[str, Entity], reader: Client) -> None:
    source = Source.objects.create(
        name="git", type="git", target="https://git.example.org/x", entity_ref="location:default/x"
    )
    Entity.objects.filter(name="booking-api").update(
        source=source,
        url="https://git.example.org/booking-api/catalog-info.yaml",
        line=12,
        commit="9f3c1ae77b2f4410aa",
    )
    page = text_of(reader.get(API))
    assert 'href="/catalog/default/group/bookings/"' in page
    assert 'href="/catalog/default/resource/booking-db/"' in page
    assert "Booking site" in page  # uses it
    assert 'href="https://git.example.org/booking-api/catalog-info.yaml#L12"' in page
    assert "line 12" in page
    assert "9f3c1ae77b2f" in page
    assert f'href="/catalog/sources/{source.pk}/"' in page


def test_a_target_that_is_not_there_is_marked_and_not_linked(
    catalog: dict[str, Entity], reader: Client
) -> None:
    page = text_of(reader.get(API))
    assert 'title="resource:default/nowhere is not in the catalog"' in page
    assert "/catalog/default/resource/nowhere/" not in page
    lost = text_of(reader.get("/catalog/default/component/lost-and-found/"))
    assert 'title="group:default/gone is not in the catalog"' in lost


def test_links_are_followed_only_where_a_browser_may(catalog: dict[str, Entity], reader: Client) -> None:
    page = text_of(reader.get(API))
    assert 'href="https://dash.example.org/b" rel="noopener noreferrer nofollow"' in page
    assert "javascript:" not in page
    assert "Bad link" in page


def test_view_and_edit_addresses_of_the_file_are_checked_too(reader: Client) -> None:
    store(
        [
            document(
                "x",
                annotations={
                    "backstage.io/view-url": "javascript:alert(1)",
                    "backstage.io/edit-url": "data:text/html,x",
                },
            )
        ]
    )
    page = text_of(reader.get("/catalog/default/component/x/"))
    assert 'href="javascript' not in page
    assert 'href="data' not in page


def test_relations_are_grouped_both_ways(catalog: dict[str, Entity], reader: Client) -> None:
    page = text_of(reader.get(f"{API}relations/"))
    for word in ("Depends on", "Used by", "Provides APIs", "Owned by", "Part of"):
        assert word in page


def test_an_api_shows_its_operations_its_text_and_its_two_sides(
    catalog: dict[str, Entity], reader: Client
) -> None:
    page = text_of(reader.get("/catalog/default/api/bookings/api/"))
    assert "List bookings" in page
    assert "Book &lt;now&gt;" in page
    assert "deprecated" in page
    assert '<span class="k">openapi</span>' in page
    assert 'href="/catalog/default/component/booking-api/"' in page
    text = reader.get("/catalog/default/api/bookings/definition.txt")
    assert text["Content-Type"] == "text/plain; charset=utf-8"
    assert text_of(text).startswith("openapi: 3.0.3")


def test_an_api_of_a_kind_without_definition_shows_where_it_is(reader: Client) -> None:
    install_shipped_kinds()
    store(
        [
            document(
                "tools",
                kind="API",
                spec={"type": "mcp-server", "remotes": [{"type": "sse", "url": "https://mcp.example.org"}]},
            )
        ]
    )
    page = text_of(reader.get("/catalog/default/api/tools/api/"))
    assert 'href="https://mcp.example.org"' in page
    assert reader.get("/catalog/default/api/tools/definition.txt").status_code == 404


def test_a_component_shows_the_apis_it_provides_and_consumes(
    catalog: dict[str, Entity], reader: Client
) -> None:
    page = text_of(reader.get(f"{API}apis/"))
    assert "Bookings API" in page
    assert "It consumes none." in page
    assert reader.get(f"{API}api/").status_code == 404
    assert reader.get("/catalog/default/group/bookings/apis/").status_code == 404


def test_raw_is_the_finished_document_as_yaml(catalog: dict[str, Entity], reader: Client) -> None:
    page = text_of(reader.get(f"{API}raw/"))
    assert '<li id="L1"><code><span class="k">apiVersion</span>' in page
    assert "uid" in page
    assert 'href="/api/catalog/entities/by-name/component/default/booking-api"' in page


def test_a_team_shows_its_people_and_what_it_owns_and_a_person_their_teams(
    catalog: dict[str, Entity], reader: Client
) -> None:
    team = text_of(reader.get("/catalog/default/group/bookings/"))
    assert "Maren Holt" in team
    assert "Booking site" in team
    assert "Bookings API" in team
    person = text_of(reader.get("/catalog/default/user/maren/"))
    assert 'href="/catalog/default/group/bookings/"' in person
    assert "maren@example.org" in person
    assert "Nothing names it as owner." in person


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"state": "missing", "state_reason": "The host answered 503."},
            ["Its source cannot be read.", "The host answered 503."],
        ),
        ({"state": "orphaned"}, ["Orphaned."]),
        (
            {"has_errors": True},
            ["The last reading failed.", "/catalog/problems/?entity=component%3Adefault%2Fbooking-api"],
        ),
    ],
)
def test_what_is_wrong_with_it_stands_first(
    catalog: dict[str, Entity], reader: Client, change: dict[str, object], words: list[str]
) -> None:
    Entity.objects.filter(name="booking-api").update(**change)
    page = text_of(reader.get(API))
    assert all(word in page for word in words)
    assert page.index(words[0]) < page.index('id="p-about"')


def test_an_address_in_another_case_leads_to_the_one_that_counts(
    catalog: dict[str, Entity], reader: Client
) -> None:
    answer = reader.get("/catalog/default/Component/Booking-API/raw/")
    assert (answer.status_code, answer["Location"]) == (302, f"{API}raw/")
    assert reader.get("/catalog/by-ref/component:default/booking-api")["Location"] == API
    assert reader.get("/catalog/by-ref/booking-api")["Location"] == API
    assert reader.get("/catalog/by-ref/:").status_code == 404


def test_a_wrong_name_is_answered_with_close_ones(catalog: dict[str, Entity], reader: Client) -> None:
    answer = reader.get("/catalog/default/component/booking-apu/")
    page = text_of(answer)
    assert answer.status_code == 404
    assert "Nothing here is called booking-apu" in page
    assert f'href="{API}"' in page
    elsewhere = text_of(reader.get("/catalog/default/component/orphan/"))
    assert "same name, namespace legacy" in elsewhere
    assert reader.get(f"{API}nonsense/").status_code == 404


@pytest.fixture
def extensions() -> Iterator[None]:
    before = {e.full_key for kind in (EntityTab, EntityCard) for e in registry.all(kind)}
    yield
    registry.remove({e.full_key for kind in (EntityTab, EntityCard) for e in registry.all(kind)} - before)
    registry.forget_switches()


def test_tabs_and_cards_of_others_stand_beside_ours_and_fail_alone(
    catalog: dict[str, Entity], reader: Client, extensions: None
) -> None:
    def fail(viewer: object, entity: object) -> dict[str, str]:
        raise RuntimeError("no tide")

    def links(viewer: object, entity: Entity) -> dict[str, object]:
        return {
            "links": [
                {"url": "https://tides.example.org", "title": f"Tides of {entity.name}", "icon": "clock"}
            ]
        }

    card = "catalog/cards/links.html"
    registry.register(
        EntityTab(key="tides", title="Tides", owner="t", icon="clock", template=card, context=fail)
    )
    registry.register(
        EntityCard(key="tides", title="Tides", owner="t", template=card, context=links, column="side")
    )
    registry.register(EntityCard(key="ebb", title="Ebb", owner="t", template=card, context=fail))
    page = text_of(reader.get(API))
    assert f'href="{API}tides/"' in page
    assert "Tides of booking-api" in page
    assert "This part of the page failed" in page
    assert "Tides failed." in text_of(reader.get(f"{API}tides/"))


@pytest.mark.req("R036")
def test_core_facts_stand_when_everything_of_others_is_switched_off(
    catalog: dict[str, Entity], reader: Client, extensions: None
) -> None:
    def links(viewer: object, entity: Entity) -> dict[str, object]:
        return {"links": [{"url": "https://tides.example.org", "title": "Tides", "icon": "clock"}]}

    registry.register(
        EntityCard(key="tides", title="Tides", owner="t", template="catalog/cards/links.html", context=links)
    )
    assert "tides.example.org" in text_of(reader.get(API))
    ExtensionState.objects.create(key="entity_card:tides", enabled=False)
    registry.forget_switches()
    page = text_of(reader.get(API))
    assert "tides.example.org" not in page
    for fact in (
        "booking-api",
        "Takes and changes bookings.",
        "Bookings",
        "booking-db",
        "kotlin",
        "Dashboard",
    ):
        assert fact in page


def test_a_kind_that_somebody_added_has_a_page(reader: Client) -> None:
    store(
        [
            document(
                "probe-7", kind="Sensor", spec={"runsOn": "x"}, relations=[("runsOn", "component:default/x")]
            )
        ]
    )
    page = text_of(reader.get("/catalog/default/sensor/probe-7/relations/"))
    assert "Runs on" in page
    assert "Sensor" in page


@pytest.mark.parametrize(
    "address",
    [
        API,
        f"{API}relations/",
        f"{API}apis/",
        f"{API}raw/",
        "/catalog/default/api/bookings/api/",
        "/catalog/default/group/bookings/",
        "/catalog/default/user/maren/",
    ],
)
def test_an_entity_takes_few_statements_and_is_light(
    catalog: dict[str, Entity], reader: Client, statements: Callable[[Client, str], int], address: str
) -> None:
    assert statements(reader, address) <= MOST_STATEMENTS
    assert len(gzip.compress(reader.get(address).content)) < 15_000


def test_a_hub_with_a_thousand_relations_stays_light(
    reader: Client, statements: Callable[[Client, str], int]
) -> None:
    install_shipped_kinds()
    refs = [("dependencyOf", f"component:default/user-{n}") for n in range(1_000)]
    store([document("hub", kind="Resource", spec={"type": "database"}, relations=refs)])
    store([document(f"user-{n}", spec={"type": "service"}) for n in range(250)])
    for address in ("/catalog/default/resource/hub/", "/catalog/default/resource/hub/relations/"):
        assert statements(reader, address) <= MOST_STATEMENTS
        assert len(gzip.compress(reader.get(address).content)) < 20_000
    assert "800 more" in text_of(reader.get("/catalog/default/resource/hub/relations/"))
