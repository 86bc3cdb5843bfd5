"""Every page of the admin: there, restricted, and short of statements whatever the number of rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from catalog.models import Entity, Kind, TagDefinition
from portal.access import querysets
from portal.access.admin import ModelAdmin, ReadOnlyAdmin
from portal.access.admin.base import age
from portal.access.models import Token
from portal.web.admin.registration import keep_restricted_pages
from tests.factories.access import BrowserSessionFactory, MembershipFactory, TokenFactory
from tests.factories.catalog import document, store
from tests.factories.connections import ConnectionFactory
from tests.factories.events import DeliveryFactory
from tests.factories.jobs import JobFactory, ScheduleFactory
from tests.factories.world import World, make_problem, make_source, make_sync

MOST_STATEMENTS = 12
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
# Row of the world that stands for each model.
ROWS = {
    "access.User": "staff",
    "access.Principal": "principal",
    "access.Membership": "membership",
    "access.Rule": "rule",
    "access.BrowserSession": "session",
    "access.Token": "token",
    "audit.AuditEvent": "audit",
    "catalog.AnnotationDefinition": "annotation",
    "catalog.BulkOperation": "operation",
    "catalog.Entity": "entity",
    "catalog.Hook": "hook",
    "catalog.HookDelivery": "hook_delivery",
    "catalog.Kind": "kind",
    "catalog.Problem": "problem",
    "catalog.Quarantine": "quarantine",
    "catalog.Alias": "alias",
    "catalog.Revision": "revision",
    "catalog.Source": "source",
    "catalog.Sync": "sync",
    "catalog.TagDefinition": "tag",
    "catalog.Tombstone": "tombstone",
    "connections.Connection": "connection",
    "events.Delivery": "delivery",
    "events.Event": "event",
    "events.Subscription": "subscription",
    "jobs.Job": "job",
    "jobs.Schedule": "schedule",
}


def _url(model: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def _get(client: Client, url: str) -> tuple[str, int]:
    """Body of the page and how many statements it took."""
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = client.get(url)
        if hasattr(answer, "render"):
            answer.render()
    assert answer.status_code == 200, url
    assert len(queries) <= MOST_STATEMENTS, [query["sql"][:150] for query in queries]
    return answer.content.decode(), len(queries)


def _many_more(world: World) -> None:
    """So many rows of each model that a statement for each would show."""
    for number in range(12):
        source = make_source(f"more-{number}")
        make_sync(source)
        make_problem(source, number)
        MembershipFactory()
        BrowserSessionFactory(user=world.member)
        TokenFactory(user=world.member)
        ConnectionFactory()
        DeliveryFactory()
        JobFactory()
        ScheduleFactory()
        first = TagDefinition.objects.create(name=f"tag{number}")
        TagDefinition.objects.create(name=f"alias{number}", alias_of=first)
        store([document(f"service-{number}", relations=[("ownedBy", "group:default/gone")])])
    for source, entity in zip(range(12), Entity.objects.order_by("-pk")[:12], strict=True):
        Entity.objects.filter(pk=entity.pk).update(source=make_source(f"of-{source}"))


def test_every_page_is_of_the_one_base_class() -> None:
    foreign = [
        model._meta.label for model in MODELS if not isinstance(admin.site._registry[model], ModelAdmin)
    ]
    assert foreign == []
    assert {model._meta.label for model in MODELS} == set(ROWS), "name the row of the world for a new page"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_a_list_takes_the_same_few_statements_for_many_rows(
    world: World, curator: Client, model: Any
) -> None:
    _get(curator, _url(model, "changelist"))  # what is remembered for good, such as content types
    _, few = _get(curator, _url(model, "changelist"))
    _many_more(world)
    _, many = _get(curator, _url(model, "changelist"))
    assert many <= few + 1, "a statement for each row"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_a_list_can_be_searched_and_filtered(world: World, curator: Client, model: Any) -> None:
    page = admin.site._registry[model]
    assert page.search_fields
    _get(curator, _url(model, "changelist") + "?q=shop")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_the_page_of_one_row_and_its_history_take_few_statements(
    world: World, curator: Client, model: Any
) -> None:
    row = getattr(world, ROWS[model._meta.label])
    _get(curator, _url(model, "change", row.pk))
    _get(curator, _url(model, "history", row.pk))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_the_page_to_add_or_delete_is_there_or_refused(world: World, curator: Client, model: Any) -> None:
    row = getattr(world, ROWS[model._meta.label])
    read_only = isinstance(admin.site._registry[model], ReadOnlyAdmin)
    for url in (_url(model, "add"), _url(model, "delete", row.pk)):
        status = curator.get(url).status_code
        assert status in (200, 403)
        if read_only:
            assert status == 403, url


@pytest.mark.parametrize("path", ["", "plugins/", "search/?s=shop", "jsi18n/"])
def test_the_pages_of_the_site_itself_take_few_statements(world: World, curator: Client, path: str) -> None:
    _get(curator, f"/admin/{path}")


def test_the_first_page_counts_what_needs_a_person(world: World, curator: Client) -> None:
    page, _ = _get(curator, "/admin/")
    for title in (
        "Errors in sources",
        "Failed jobs",
        "Failed sources",
        "Broken plugins",
        "Unresolved owners",
    ):
        assert title in page
    cards = {card.title: card.count for card in curator.get("/admin/").context["cards"]}
    assert cards["Errors in sources"] == 1 and cards["Failed jobs"] == 1 and cards["Expiring tokens"] == 1
    assert cards["Failed sources"] == 0 and cards["Unresolved owners"] == 0
    store([document("lost", relations=[("ownedBy", "group:default/nobody")])])
    cards = {card.title: (card.count, card.url) for card in curator.get("/admin/").context["cards"]}
    assert cards["Unresolved owners"][0] == 1
    shown, _ = _get(curator, cards["Unresolved owners"][1])
    assert "component:default/lost" in shown and "component:default/shop" not in shown


def test_members_are_kept_out_and_visitors_sent_to_sign_in(world: World) -> None:
    client = Client()
    for url in ("/admin/", _url(Entity, "changelist"), "/admin/plugins/"):
        last, status = client.get(url, follow=True).redirect_chain[-1]
        assert unquote(last) == f"/accounts/login/?next={url}" and status == 302
    client.force_login(world.member)
    answer = client.get("/admin/", follow=True)
    assert answer.status_code == 403


def test_there_is_one_way_to_sign_in_and_to_change_a_password(world: World, curator: Client) -> None:
    visitor = Client()
    assert (
        visitor.get("/admin/login/?next=/admin/jobs/job/")["Location"]
        == "/accounts/login/?next=%2Fadmin%2Fjobs%2Fjob%2F"
    )
    assert (
        visitor.get("/admin/login/?next=https://evil.example/")["Location"]
        == "/accounts/login/?next=%2Fadmin%2F"
    )
    assert curator.get("/admin/login/")["Location"] == "/admin/"
    assert curator.get("/admin/password_change/")["Location"] == "/accounts/password/change/"


def test_choices_of_other_rows_are_those_the_viewer_may_see(world: World, curator: Client) -> None:
    answer = curator.get(
        "/admin/autocomplete/?app_label=access&model_name=membership&field_name=member&term=member"
    )
    assert [row["text"] for row in answer.json()["results"]] == ["user:default/member"]


def test_no_page_of_the_admin_reads_what_it_may_not(
    world: World, curator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy of a model rules its list, its pages, its choices and its search at once."""
    monkeypatch.setitem(querysets._policies, "access.token", lambda viewer, action: None)
    assert curator.get(_url(Token, "changelist")).status_code == 403
    assert curator.get(_url(Token, "change", world.token.pk)).status_code == 403
    assert "Tokens" not in {
        m["name"] for app in admin.site.get_app_list(_request(world)) for m in app["models"]
    }


def _request(world: World) -> Any:
    request = RequestFactory().get("/admin/")
    request.user, request.viewer = world.staff, world.viewer  # type: ignore[attr-defined]  # as the middleware does
    return request


def test_appearance_chosen_in_the_portal_counts_in_the_admin(world: World, curator: Client) -> None:
    curator.cookies["callboard_theme"] = "dark"
    page, _ = _get(curator, "/admin/")
    assert 'class="dark"' in page.split("<head>")[0]


def test_pages_of_packages_that_are_not_restricted_are_dropped() -> None:
    assert Group not in admin.site._registry
    admin.site.register(Group)
    keep_restricted_pages()
    assert Group not in admin.site._registry


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (59, "just now"),
        (61, "1\xa0minute ago"),
        (-30, "in a moment"),
        (-7_300, "in 2\xa0hours"),
    ],
)
def test_an_age_is_told_in_words_with_the_exact_time_on_hover(seconds: int, text: str) -> None:
    shown = age(timezone.now() - timedelta(seconds=seconds))
    assert f">{text}</time>" in shown
    assert 'title="' in shown


def test_a_page_has_a_main_part_and_every_field_in_a_table_a_name(world: World, curator: Client) -> None:
    page = curator.get(_url(Kind, "change", world.kind.pk)).content.decode()
    assert page.count("<main ") == page.count("</main>") == 1
    assert 'aria-label="Schema"' in page


def test_a_field_that_is_searched_says_so(world: World, curator: Client) -> None:
    assert 'data-placeholder="Search ' in curator.get(_url(Token, "add")).content.decode()
