"""The frame of every page: signing in, navigation, appearance, error pages, what browsers may load."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path

from portal.access.models import Membership, User
from portal.core.errors import NotAllowedError
from portal.plugins.points import HomeCard, NavItem
from portal.plugins.registry import registry
from portal.urls import urlpatterns as real_urlpatterns
from portal.web.middleware import ADMIN, API_DOCS, PORTAL
from portal.web.views.errors import server_error
from tests.factories.access import GroupFactory, PrincipalFactory, StaffFactory, UserFactory

PASSWORD = "a long enough one"


def _breaks(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("broken on purpose")


def _refuses(request: HttpRequest) -> HttpResponse:
    raise NotAllowedError("Only Fares may do <that>.", remedy="Ask Fares.")


urlpatterns = [
    path("test/breaks/", _breaks),
    path("test/refuses/", _refuses),
    *real_urlpatterns,
]
handler400 = "portal.web.views.errors.bad_request"
handler403 = "portal.web.views.errors.forbidden"
handler404 = "portal.web.views.errors.not_found"
handler500 = "portal.web.views.errors.server_error"


@pytest.fixture
def person(db: None) -> User:
    user = UserFactory(username="maren", first_name="Maren", last_name="Holt")
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def signed_in(client: Client, person: User) -> Client:
    client.force_login(person)
    return client


@pytest.fixture
def extensions() -> Iterator[None]:
    """Whatever a test registers is gone afterwards."""
    before = {e.full_key for kind in (NavItem, HomeCard) for e in registry.all(kind)}
    yield
    registry.remove({e.full_key for kind in (NavItem, HomeCard) for e in registry.all(kind)} - before)


@pytest.mark.django_db
def test_every_page_asks_for_sign_in_and_comes_back(client: Client, person: User) -> None:
    asked = client.get("/catalog/?kind=api")
    assert asked.status_code == 302
    assert asked["Location"].startswith("/accounts/login/?next=")
    signed = client.post(asked["Location"], {"login": "maren", "password": PASSWORD})
    assert signed.status_code == 302
    assert signed["Location"] == "/catalog/?kind=api"


@pytest.mark.django_db
def test_a_wrong_password_says_so_beside_the_form(client: Client, person: User) -> None:
    answer = client.post("/accounts/login/", {"login": "maren", "password": "wrong"})
    assert answer.status_code == 200
    assert b'role="alert"' in answer.content


@pytest.mark.django_db
def test_nobody_signs_up(client: Client) -> None:
    page = client.get("/accounts/signup/").content.decode()
    assert "Nobody signs up here" in page
    assert "<form" not in page


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address",
    ["login/", "signup/", "password/reset/", "password/reset/done/", "password/reset/key/1-x/", "inactive/"],
)
def test_pages_at_the_door_wear_our_clothes(client: Client, address: str) -> None:
    answer = client.get(f"/accounts/{address}")
    assert answer.status_code == 200
    assert b'class="door"' in answer.content
    assert b"lease" not in answer.content.replace(b"release", b"")  # no please


def test_signing_out_takes_a_form(signed_in: Client) -> None:
    assert b'action="/accounts/logout/"' in signed_in.get("/").content
    assert signed_in.get("/accounts/logout/").status_code == 200  # asks, does nothing
    assert signed_in.get("/").status_code == 200
    assert signed_in.post("/accounts/logout/").status_code == 302
    assert signed_in.get("/").status_code == 302


@pytest.mark.parametrize(
    "address", ["/accounts/password/change/", "/accounts/email/", "/accounts/reauthenticate/"]
)
def test_account_pages_answer(signed_in: Client, address: str) -> None:
    answer = signed_in.get(address)
    assert answer.status_code == 200
    assert b"components.css" in answer.content


def test_the_chosen_appearance_is_rendered_by_the_server(signed_in: Client) -> None:
    assert b'data-theme="auto"' in signed_in.get("/").content
    chosen = signed_in.post(
        "/settings/appearance/", {"theme": "dark"}, headers={"referer": "http://testserver/catalog/"}
    )
    assert chosen["Location"] == "http://testserver/catalog/"
    page = signed_in.get("/").content.decode()
    assert 'data-theme="dark"' in page
    assert 'value="dark" data-theme-set="dark" aria-pressed="true"' in page


def test_an_appearance_that_does_not_exist_is_refused(signed_in: Client) -> None:
    assert signed_in.post("/settings/appearance/", {"theme": "<b>"}).status_code == 400
    signed_in.cookies["callboard_theme"] = '"><script>'
    assert b'data-theme="auto"' in signed_in.get("/").content


def test_choosing_an_appearance_never_leads_to_another_site(signed_in: Client) -> None:
    chosen = signed_in.post(
        "/settings/appearance/", {"theme": "dark"}, headers={"referer": "https://evil.example/"}
    )
    assert chosen["Location"] == "/"


def test_navigation_shows_one_current_entry_and_the_keys_that_lead_there(signed_in: Client) -> None:
    page = signed_in.get("/catalog/sources/").content.decode()
    assert page.count('href="/catalog/sources/" aria-current="page"') >= 1
    assert 'href="/catalog/" aria-current="page"' not in page
    assert 'aria-keyshortcuts="g c"' in page
    preview = signed_in.get("/catalog/preview/").content.decode()
    assert 'href="/catalog/sources/" aria-current="page"' in preview


def test_teams_stand_in_the_navigation_with_what_they_own(signed_in: Client, person: User) -> None:
    member = PrincipalFactory(user=person)
    Membership.objects.create(
        member=member, group=GroupFactory(ref="group:default/bookings", title="Bookings"), source="test"
    )
    assert 'href="/catalog/?owner=group:default/bookings"' in signed_in.get("/").content.decode()


def test_only_those_who_curate_see_the_way_to_admin(signed_in: Client) -> None:
    assert b'href="/admin/"' not in signed_in.get("/").content
    staff = Client()
    staff.force_login(StaffFactory())
    assert b'href="/admin/"' in staff.get("/").content


def test_a_plugin_adds_an_entry_and_one_that_leads_nowhere_is_left_out(
    signed_in: Client, extensions: None
) -> None:
    registry.register(
        NavItem(key="tides", title="Tides", owner="test", url_name="catalog:problems", icon="clock")
    )
    registry.register(NavItem(key="broken", title="Broken", owner="test", url_name="no:where", icon="clock"))
    registry.register(
        NavItem(
            key="secret", title="Secret", owner="test", url_name="web:home", icon="lock", permission="curate"
        )
    )
    page = signed_in.get("/").content.decode()
    assert "Tides" in page
    assert "Broken" not in page
    assert "Secret" not in page


def test_a_card_that_fails_says_so_in_its_own_place(signed_in: Client, extensions: None) -> None:
    def fail(viewer: object) -> dict[str, str]:
        raise RuntimeError("no tide")

    registry.register(
        HomeCard(key="tides", title="Tides", owner="test", template="catalog/home/kinds.html", context=fail)
    )
    answer = signed_in.get("/")
    assert answer.status_code == 200
    assert "This part of the page failed" in answer.content.decode()


@pytest.mark.urls(__name__)
def test_our_errors_have_pages_that_say_what_to_do(signed_in: Client) -> None:
    answer = signed_in.get("/test/refuses/")
    assert answer.status_code == 403
    page = answer.content.decode()
    assert "Only Fares may do &lt;that&gt;." in page
    assert "Ask Fares." in page
    assert "problem id" in page


@pytest.mark.urls(__name__)
def test_a_defect_has_a_page_that_needs_no_database(signed_in: Client) -> None:
    signed_in.raise_request_exception = False
    answer = signed_in.get("/test/breaks/")
    assert answer.status_code == 500
    assert b"Something broke on our side" in answer.content
    assert b"broken on purpose" not in answer.content


def test_the_page_for_a_defect_is_rendered_without_database(rf: RequestFactory) -> None:
    # No database mark: any statement would fail this test.
    answer = server_error(rf.get("/catalog/"))
    assert answer.status_code == 500
    assert b"Try the home page" in answer.content


@pytest.mark.django_db
def test_an_unknown_address_is_a_page_for_people_and_json_for_programs(
    client: Client, signed_in: Client
) -> None:
    page = signed_in.get("/nowhere/")
    assert page.status_code == 404
    assert b"Nothing is here" in page.content
    anonymous = Client().get("/nowhere/")
    assert anonymous.status_code == 404
    assert b'class="door"' in anonymous.content
    program = signed_in.get("/api/nowhere")
    assert program.status_code == 404
    assert program.json()["error"]["name"] == "NotFoundError"


@pytest.mark.django_db
def test_a_stale_form_is_explained(person: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(person)
    answer = strict.post("/settings/appearance/", {"theme": "dark"})
    assert answer.status_code == 403
    assert b"This form went stale" in answer.content


def test_pages_allow_nothing_inline_and_nothing_from_elsewhere(signed_in: Client) -> None:
    answer = signed_in.get("/")
    assert answer["Content-Security-Policy"] == PORTAL
    assert "unsafe" not in PORTAL
    assert "default-src 'none'" in PORTAL
    page = answer.content.decode()
    assert " style=" not in page
    assert "onclick" not in page
    assert page.count("<script") == page.count("<script src=") + page.count('<script type="module" src=')


def test_admin_and_api_documentation_have_policies_of_their_own(client: Client) -> None:
    assert client.get("/admin/login/")["Content-Security-Policy"] == ADMIN
    assert client.get("/api/docs/")["Content-Security-Policy"] == API_DOCS
    assert "'unsafe-eval'" in ADMIN
    assert "unsafe-eval" not in API_DOCS


@pytest.mark.django_db(transaction=True)
def test_pages_have_their_policy_on_an_asynchronous_server_too() -> None:
    answer = async_to_sync(AsyncClient().get)("/accounts/login/")
    assert answer.status_code == 200
    assert answer["Content-Security-Policy"] == PORTAL
