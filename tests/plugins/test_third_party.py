"""A third party's package adds one of each, and breaks in each way without taking anything along."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape
from prometheus_client import REGISTRY

from portal.plugins import loading, producing
from portal.plugins.models import ExtensionState
from portal.plugins.points import POINTS, EntityCard, EntityTab, HomeCard
from portal.plugins.registry import Registry, registry
from tests.factories.access import StaffFactory, UserFactory
from tests.factories.catalog import document, store
from tests.jobs.worker import ROOT, environment

pytestmark = [pytest.mark.django_db, pytest.mark.req("R076")]
BROKEN = {
    "broken-import": "ModuleNotFoundError: No module named 'a_package_that_nobody_installed'",
    "broken-exit": "SystemExit: the plugin gives up",
    "broken-name": "AttributeError: module 'callboard_example.plugin' has no attribute 'nothing_of_that_name'",
    "broken-shape": "TypeError: callboard_example.broken_register:not_a_plugin has no name, version, owner and"
    " register()",
    "broken-register": "RuntimeError: the second half is missing",
    "broken-duplicate": "ConflictError: home_card:kinds is registered by Callboard already.",
    "broken-key": "InputError: The key 'Not A Key' of home_card has other characters than a-z, 0-9, _ and -.",
}


@pytest.fixture
def browser(third_party: None) -> Client:
    """Somebody who is signed in, without further rights."""
    client = Client()
    client.force_login(UserFactory(first_name="Elif", last_name="Kaya"))
    return client


def _switch_off(*keys: str) -> None:
    for key in keys:
        ExtensionState.objects.create(key=key, enabled=False, changed_by="test")
    registry.forget_switches()


def _outcome(extension: str, outcome: str) -> float:
    labels = {"extension": extension, "outcome": outcome}
    return REGISTRY.get_sample_value("callboard_extension_outcomes_total", labels) or 0.0


def _wait_until_idle() -> None:
    """Threads that are late still run; what they do must be over before the database goes."""
    deadline = time.monotonic() + 10
    while any(producing._running.values()) and time.monotonic() < deadline:
        time.sleep(0.05)


def test_the_package_adds_one_of_each_extension_point(third_party: None) -> None:
    loaded = {plugin.entry: plugin for plugin in registry.plugins}
    assert (loaded["example"].name, loaded["example"].version, loaded["example"].error) == (
        "Example",
        "1.2",
        "",
    )
    assert {type(extension) for extension in registry.of_plugin("example")} == set(POINTS)


@pytest.mark.parametrize(("entry", "error"), BROKEN.items(), ids=BROKEN.keys())
def test_a_plugin_that_breaks_while_it_loads_is_named_and_leaves_nothing(
    third_party: None, entry: str, error: str
) -> None:
    loaded = {plugin.entry: plugin for plugin in registry.plugins}
    assert loaded[entry].error == error
    assert registry.of_plugin(entry) == []
    assert not any(key.endswith(("broken-halfway", "broken-first")) for key in registry._plugin_of)
    assert next(e for e in registry.all(HomeCard) if e.key == "kinds").owner == "Callboard"


def test_two_packages_with_a_plugin_of_one_name_are_told_apart(third_party: None) -> None:
    other = EntryPoint("example", "elsewhere.plugin:plugin", loading.GROUP)
    into = Registry()
    real = loading.entry_points
    try:
        loading.entry_points = lambda group: [*real(group=group), other]  # type: ignore[assignment]  # one more
        loading.load_plugins(into)
    finally:
        loading.entry_points = real
    twice = [plugin for plugin in into.plugins if plugin.entry == "example"]
    assert [bool(plugin.error) for plugin in twice] == [False, True]
    assert "another package has a plugin named example" in twice[1].error


@pytest.mark.req("R036")
def test_the_home_page_lives_whatever_its_cards_do(browser: Client) -> None:
    _switch_off("home_card:unruly-slow")
    page = browser.get("/")
    body = page.content.decode()
    assert page.status_code == 200
    assert "the example greets Elif Kaya" in body
    assert body.count("This part of the page failed") == 4, "two that raise, two whose template breaks"
    assert "Example page" in body or 'href="/x/example/"' not in body
    assert "Unruly page" not in body, "an entry that leads nowhere is left out"
    assert "Counted" in body, "an entry whose count breaks stays, without a number"
    assert _outcome("home_card:unruly-raising", "failed") >= 1


@pytest.mark.req("R077")
def test_a_card_that_is_late_shows_its_last_value_with_its_age(browser: Client) -> None:
    only = [extension.full_key for extension in registry.all(HomeCard) if extension.key != "unruly-slow"]
    _switch_off(*only, "plugin:example")
    started = time.perf_counter()
    first = browser.get("/").content.decode()
    assert time.perf_counter() - started < 1.5, "the page does not wait for the card"
    assert "took longer than 0.2 s" in first and "at last" not in first
    _wait_until_idle()
    started = time.perf_counter()
    second = browser.get("/").content.decode()
    assert time.perf_counter() - started < 1.5
    assert "at last" in second, "what came late is shown the next time"
    assert "old" in second and "took longer than 0.2 s" in second
    _wait_until_idle()


def test_the_page_of_an_entity_lives_whatever_its_parts_do(browser: Client) -> None:
    store([document("shop", spec={"type": "service"})])
    page = browser.get("/catalog/default/component/shop/").content.decode()
    assert "the example knows component:default/shop" in page
    assert "Example tab" in page and "never shown" not in page
    assert "the example knows" in browser.get("/catalog/default/component/shop/example/").content.decode()
    broken = browser.get("/catalog/default/component/shop/unruly/")
    assert broken.status_code == 200 and "This part of the page failed" in broken.content.decode()


def test_a_tab_that_does_not_apply_is_not_there(browser: Client) -> None:
    store([document("shop-api", kind="API", spec={"type": "openapi"})])
    assert browser.get("/catalog/default/api/shop-api/example/").status_code == 404


@pytest.mark.req("R119")
def test_an_extension_shows_only_to_those_who_may(browser: Client) -> None:
    _switch_off("home_card:unruly-slow")
    assert "only for curators" not in browser.get("/").content.decode()
    browser.force_login(StaffFactory())
    assert "only for curators" in browser.get("/").content.decode()


@pytest.mark.req("R081")
def test_one_switch_turns_a_whole_plugin_off(browser: Client) -> None:
    _switch_off("plugin:unruly", "entity_card:example")
    body = browser.get("/").content.decode()
    assert "the example greets" in body and "failed" not in body
    store([document("shop", spec={"type": "service"})])
    page = browser.get("/catalog/default/component/shop/").content.decode()
    assert "Example tab" in page and "the example knows" not in page
    assert browser.get("/catalog/default/component/shop/unruly/").status_code == 404
    assert [e.key for e in registry.active(EntityTab) if e.key in ("example", "unruly")] == ["example"]
    assert "example" not in [e.key for e in registry.active(EntityCard)]


@pytest.mark.django_db(transaction=True)
def test_every_process_sees_a_switch_within_a_second(third_party: None) -> None:
    code = (
        "import django, time; django.setup()\n"
        "from portal.plugins.registry import registry\n"
        "print('ready', flush=True)\n"
        "while 'home_card:kinds' not in registry.switched_off(): time.sleep(0.02)\n"
        "print('off', time.time(), flush=True)\n"
        "while 'home_card:kinds' in registry.switched_off(): time.sleep(0.02)\n"
        "print('on', time.time(), flush=True)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        _read(other.stdout, "ready")
        row = ExtensionState.objects.create(key="home_card:kinds", enabled=False, changed_by="test")
        switched = time.time()
        assert float(_read(other.stdout, "off").split()[1]) - switched < 1.3
        row.enabled = True
        row.save()
        switched = time.time()
        assert float(_read(other.stdout, "on").split()[1]) - switched < 1.3
    finally:
        other.kill()
        other.wait(10)


def _read(lines: Any, word: str) -> str:
    for line in lines:
        if line.startswith(word):
            return str(line)
    raise AssertionError(f"the process ended before it said {word}")


def test_a_process_started_with_the_package_has_its_templates_and_pages(installed: Path) -> None:
    code = (
        "import django; django.setup()\n"
        "from django.template.loader import get_template; from django.urls import reverse\n"
        "from django.apps import apps\n"
        "get_template('callboard_example/card.html')\n"
        "print('apps', apps.is_installed('callboard_example'), reverse('example:index'))\n"
    )
    env = {
        **os.environ,
        "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}",
        "DJANGO_SETTINGS_MODULE": "portal.settings.test",
    }
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert "apps True /x/example/" in ran.stdout, ran.stderr[-2000:]


def test_the_admin_shows_what_could_not_be_loaded_and_who_is_not_well(browser: Client) -> None:
    browser.force_login(StaffFactory())
    page = browser.get("/admin/plugins/").content.decode()
    for error in BROKEN.values():
        assert escape(error) in page
    assert "health:unruly" in page and "the disk is full" in page and "health:example</code> says" not in page
    cards = {card.title: card.count for card in browser.get("/admin/").context["cards"]}
    assert cards["Broken plugins"] == len(BROKEN) + 1
    assert browser.get("/health/ready").status_code == 200, "a plugin does not take the house out of service"
