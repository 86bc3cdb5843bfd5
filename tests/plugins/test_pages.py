"""Pages of plugins: below /x/, for people who are signed in, and gone while they are switched off."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from django.test import Client
from django.urls import clear_url_caches, reverse

from portal import urls
from portal.plugins.models import ExtensionState
from portal.plugins.points import Pages
from portal.plugins.registry import Registry
from portal.web.plugin_pages import plugin_pages
from tests.factories.access import StaffFactory, UserFactory

pytestmark = pytest.mark.django_db
HELLO = Pages(key="hello", title="Hello", owner="tests", urls="tests.plugins.page_urls")
STAFF = Pages(key="staff", title="Staff", owner="tests", urls="tests.plugins.page_urls", permission="curate")
BROKEN = Pages(key="broken", title="Broken", owner="tests", urls="tests.plugins.not_there")


@pytest.fixture
def known(settings: Any) -> Iterator[Registry]:
    """A registry of three pages, and a project that has them."""
    registry = Registry()
    for pages in (HELLO, STAFF, BROKEN):
        registry.register(pages)
    module = ModuleType("project_urls")
    module.urlpatterns = [*urls.urlpatterns, *plugin_pages(registry)]  # type: ignore[attr-defined]  # a module
    settings.ROOT_URLCONF = module
    clear_url_caches()
    yield registry
    clear_url_caches()


def test_a_page_has_an_address_by_its_key_and_name(known: Registry, client: Client) -> None:
    client.force_login(UserFactory())
    assert reverse("hello:again") == "/x/hello/again/"
    assert client.get(reverse("hello:hello")).content == b"hello from a plugin"


def test_a_page_asks_for_sign_in_whatever_its_view_says(known: Registry, client: Client) -> None:
    answer = client.get("/x/hello/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/?next=/x/hello/")


def test_a_page_is_not_there_without_its_permission(known: Registry, client: Client) -> None:
    client.force_login(UserFactory())
    assert client.get("/x/staff/").status_code == 404
    client.force_login(StaffFactory())
    assert client.get("/x/staff/").status_code == 200


def test_a_page_that_is_switched_off_is_not_there(known: Registry, client: Client) -> None:
    client.force_login(UserFactory())
    ExtensionState.objects.create(key="pages:hello", enabled=False, changed_by="test")
    known.forget_switches()
    assert client.get("/x/hello/").status_code == 404


def test_pages_that_cannot_be_loaded_take_nothing_along(known: Registry, client: Client) -> None:
    client.force_login(UserFactory())
    assert client.get("/x/broken/").status_code == 404
    assert client.get("/x/hello/").status_code == 200
