"""The catalog index."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable

import pytest
from django.test import Client

from catalog.models import Entity, Kind, Source
from catalog.services.kinds import install_shipped_kinds
from catalog.views import index as index_view
from tests.catalog.views.conftest import MOST_STATEMENTS, text_of
from tests.factories.catalog import document, store

pytestmark = pytest.mark.django_db


def names(page: str) -> list[str]:
    """Titles of the rows, in order."""
    return re.findall(r"data-row>.*?<span>([^<]*)</span></a>", page)


def test_everything_is_listed_by_name_with_owner_and_system(
    catalog: dict[str, Entity], reader: Client
) -> None:
    page = text_of(reader.get("/catalog/"))
    assert names(page) == [
        "Booking site",
        "booking-api",
        "booking-db",
        "Bookings",
        "Bookings API",
        "fare-engine",
        "Fares",
        "lost-and-found",
        "Maren Holt",
        "orphan",
        "reservations",
    ]
    assert "11 in all" in page
    assert 'href="/catalog/default/system/reservations/"' in page
    assert "No owner" in page


def test_tabs_switch_the_kind(catalog: dict[str, Entity], reader: Client) -> None:
    page = text_of(reader.get("/catalog/?kind=component"))
    assert "<h1>Components</h1>" in page
    assert len(names(page)) == 5
    assert re.search(r'href="/catalog/\?kind=api">APIs <span class="count">1</span>', page)
    assert reader.get("/catalog/apis/")["Location"] == "/catalog/?kind=api"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("tag=kotlin", ["booking-api", "fare-engine"]),
        ("kind=component&tag=-kotlin", ["Booking site", "lost-and-found", "orphan"]),
        ("kind=component&owner=group:default/fares", ["fare-engine"]),
        ("kind=component&owner=none", ["orphan"]),
        (
            "kind=component&lifecycle=production&lifecycle=deprecated",
            ["Booking site", "booking-api", "lost-and-found", "orphan"],
        ),
        ("kind=component&type=website", ["Booking site"]),
        ("system=system:default/reservations", ["booking-api"]),
        ("namespace=legacy", ["orphan"]),
        ("q=takes", ["booking-api"]),
        ("kind=component&type=service&tag=-pci&q=f", ["fare-engine", "lost-and-found"]),
    ],
)
def test_filters_narrow_the_list(
    catalog: dict[str, Entity], reader: Client, query: str, found: list[str]
) -> None:
    assert names(text_of(reader.get(f"/catalog/?{query}"))) == found


def test_state_is_a_filter_and_a_word_in_the_row(catalog: dict[str, Entity], reader: Client) -> None:
    Entity.objects.filter(name="fare-engine").update(state="missing")
    Entity.objects.filter(name="orphan").update(has_errors=True)
    assert names(text_of(reader.get("/catalog/?state=missing"))) == ["fare-engine"]
    assert names(text_of(reader.get("/catalog/?errors=true"))) == ["orphan"]
    page = text_of(reader.get("/catalog/"))
    assert "source unreadable" in page
    assert "last reading failed" in page


def test_facets_count_without_their_own_choice(catalog: dict[str, Entity], reader: Client) -> None:
    page = text_of(reader.get("/catalog/?kind=component&type=service"))
    assert re.search(r'value="service"[^>]*checked[^>]*>.*?<span class="count">4</span>', page)
    assert re.search(r'value="website"[^>]*>.*?<span class="count">1</span>', page)


def test_a_value_can_be_left_out_and_taken_back(catalog: dict[str, Entity], reader: Client) -> None:
    page = text_of(reader.get("/catalog/?kind=component"))
    assert 'href="/catalog/?kind=component&amp;tag=-kotlin"' in page
    left = text_of(reader.get("/catalog/?kind=component&tag=-kotlin"))
    assert "is not kotlin" in left
    assert '<label class="not">' in left
    assert re.search(r'class="chip"><b>Tag</b> is not kotlin <a href="/catalog/\?kind=component"', left)


def test_sorting_is_an_address_and_said_aloud(catalog: dict[str, Entity], reader: Client) -> None:
    page = text_of(reader.get("/catalog/?kind=component&sort=-name"))
    assert names(page) == ["orphan", "lost-and-found", "fare-engine", "booking-api", "Booking site"]
    assert 'aria-sort="descending"' in page
    by_owner = names(text_of(reader.get("/catalog/?kind=component&sort=owner")))
    assert by_owner[-1] == "orphan"  # without owner comes last


def test_pages_follow_each_other_and_lead_back(
    catalog: dict[str, Entity], reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_view, "PAGE", 4)
    seen: list[str] = []
    address, firsts = "/catalog/", []
    while address:
        page = text_of(reader.get(address))
        seen += names(page)
        firsts.append(names(page)[0])
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address = following[1].replace("&amp;", "&") if following else ""
    assert len(seen) == len(set(seen)) == 11
    back = re.search(r'rel="prev" href="([^"]+)"', page)
    assert back is not None
    assert names(text_of(reader.get(back[1].replace("&amp;", "&"))))[0] == firsts[-2]
    assert "4 of 11 shown" in text_of(reader.get("/catalog/"))


def test_a_cursor_that_nobody_gave_out_is_explained(catalog: dict[str, Entity], reader: Client) -> None:
    answer = reader.get("/catalog/?cursor=nonsense")
    assert answer.status_code == 400
    assert "Malformed cursor" in text_of(answer)


def test_an_empty_list_offers_to_take_filters_away_with_what_that_gives(
    catalog: dict[str, Entity], reader: Client
) -> None:
    page = text_of(reader.get("/catalog/?kind=component&type=website&tag=kotlin"))
    assert "Nothing matches both filters" in page
    assert "without website, 2" in page
    assert "without kotlin, 1" in page


def test_an_empty_catalog_says_how_to_begin(reader: Client, curator: Client) -> None:
    assert "The catalog is empty" in text_of(reader.get("/catalog/"))
    assert "People with curator rights add sources" in text_of(reader.get("/catalog/"))
    page = text_of(curator.get("/catalog/"))
    assert "Add a source" in page
    assert 'href="/admin/catalog/source/add/"' in page


def test_titles_and_owners_are_text_whatever_they_say(reader: Client) -> None:
    store(
        [
            document(
                "x",
                title="<script>alert(1)</script>",
                spec={"type": "<b>"},
                relations=[("ownedBy", "group:default/<i>")],
            )
        ]
    )
    page = text_of(reader.get("/catalog/?type=<b>&q=<u>"))
    page += text_of(reader.get("/catalog/"))
    for markup in ("<script>alert", '<b>"', "<i>", "<u>"):
        assert markup not in page


@pytest.mark.parametrize(
    "address",
    [
        "/catalog/",
        "/catalog/?kind=component",
        "/catalog/?kind=component&type=service&owner=group:default/bookings&tag=-java&q=b&state=active",
    ],
)
def test_a_list_takes_few_statements_and_is_light(
    catalog: dict[str, Entity], reader: Client, statements: Callable[[Client, str], int], address: str
) -> None:
    for n, names_ in enumerate(
        (("booking-api", "booking-web"), ("fare-engine",))
    ):  # two sources to choose from
        source = Source.objects.create(
            name=f"source {n}", target=f"https://{n}.example.org", entity_ref=f"location:default/{n}"
        )
        Entity.objects.filter(name__in=names_).update(source=source)
    assert statements(reader, address) <= MOST_STATEMENTS
    packed = len(gzip.compress(reader.get(address).content))
    assert packed < 15_000


def test_control_characters_in_a_descriptor_break_no_list(reader: Client) -> None:
    store([document("x", title="a\x01b", description="c\x02d"), document("y", title="Y")])
    assert names(text_of(reader.get("/catalog/")))[-1] == "Y"
    assert reader.get("/catalog/default/component/x/").status_code == 200
    assert reader.get("/catalog/default/component/x/raw/").status_code == 200
    assert reader.get("/catalog/?q=a%00b&tag=%00").status_code == 200


def test_the_tabs_begin_with_what_people_look_for_and_end_with_kinds_of_ones_own(reader: Client) -> None:
    install_shipped_kinds()
    Kind.objects.create(name="Ward", plural="Wards")
    Kind.objects.create(name="Berth", plural="Berths")
    store(
        [document("x", kind=kind) for kind in Kind.objects.unrestricted("all").values_list("name", flat=True)]
    )
    tabs = reader.get("/catalog/").context["page"].kinds
    assert [tab.title for tab in tabs] == [
        "All", "Components", "APIs", "Systems", "Resources", "Groups", "Users", "Domains", "Locations", "Templates",
        "AI resources", "Berths", "Wards",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "filters", ["state=active", "state=active&errors=false", "state=orphan", "state=gone&q=b"]
)
def test_the_length_of_a_list_of_some_states_is_what_is_in_it(
    catalog: dict[str, Entity], reader: Client, filters: str
) -> None:
    Entity.objects.filter(name="orphan").update(state="orphan")
    page = reader.get(f"/catalog/?kind=component&{filters}").context["page"]
    assert page.count == len(page.rows)


def test_an_empty_list_offers_to_drop_every_filter_at_once(
    catalog: dict[str, Entity], reader: Client
) -> None:
    page = text_of(reader.get("/catalog/?kind=component&type=none-such&q=nothing+has+this"))
    assert '<a class="btn sm" href="/catalog/?kind=component">without any filter</a>' in page
    assert "without any filter" not in text_of(reader.get("/catalog/?kind=component&type=none-such"))
