"""A real Chromium against a running server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from catalog.models import Contender, Entity, Problem, Source
from catalog.services.kinds import install_shipped_kinds
from catalog.views import index
from portal.access.models import Membership
from tests.factories.access import GroupFactory, PrincipalFactory, StaffFactory
from tests.factories.catalog import document, store
from tests.services.selection import ROOT, chromium_program

PASSWORD = "a long enough one"
BOOKINGS = "group:default/bookings"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module and no longer: Playwright's event loop must be gone before other tests run."""
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    # Playwright keeps an event loop in this thread, in which Django would refuse the test's own database access.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium_program(), args=ARGUMENTS)
        yield started
        started.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, from npm."""
    return Path(ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture
def catalog(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for every page to have something to show, on short pages."""
    monkeypatch.setattr(index, "PAGE", 12)  # the live server is a thread of this process
    install_shipped_kinds()
    person = StaffFactory(username="maren", first_name="Maren", last_name="Holt", is_superuser=True)
    person.set_password(PASSWORD)
    person.save()
    member = PrincipalFactory(ref="user:default/maren", user=person)
    Membership.objects.create(
        member=member, group=GroupFactory(ref=BOOKINGS, title="Bookings"), source="test"
    )
    source = Source.objects.create(
        name="skerry", type="git", target="https://git.example.org/skerry", entity_ref="location:default/s"
    )
    components = [
        document(
            f"berth-{n}",
            tags=["pci"] if n % 3 else ["kotlin"],
            description="Holds a berth.",
            spec={"type": "service" if n % 2 else "website", "lifecycle": "production", "owner": "bookings"},
            relations=[
                ("ownedBy", BOOKINGS),
                ("dependsOn", f"component:default/berth-{n + 1}"),
                ("providesApi", "api:default/berths"),
            ],
            links=[{"url": "https://dash.example.org", "title": "Dashboard"}],
        )
        for n in range(60)
    ]
    definition = (
        "openapi: 3.0.0\ninfo: {title: Berths, version: 1.0.0}\n"
        "paths:\n  /berths: {get: {summary: List them}}\n"
    )
    store(
        [
            document(
                "bookings",
                kind="Group",
                title="Bookings",
                spec={"type": "team", "children": []},
                relations=[("hasMember", "user:default/maren")],
            ),
            document(
                "maren",
                kind="User",
                spec={"memberOf": ["bookings"], "profile": {"displayName": "Maren Holt"}},
                relations=[("memberOf", BOOKINGS)],
            ),
            document(
                "berths",
                kind="API",
                spec={
                    "type": "openapi",
                    "lifecycle": "production",
                    "owner": "bookings",
                    "definition": definition,
                },
                relations=[("ownedBy", BOOKINGS), ("apiProvidedBy", "component:default/berth-1")],
            ),
            *components,
        ]
    )
    now = person.date_joined
    other = Source.objects.create(
        name="mole", type="url", target="https://git.example.org/mole.yaml", entity_ref="location:default/m",
        failures=4, failing_since=now, last_error="https://git.example.org/mole.yaml is not there (404).",
    )  # fmt: skip
    Entity.objects.filter(kind="component").update(source=source)
    Contender.objects.create(
        source=other, entity_ref="component:default/berth-1", url="https://git.example.org/mole.yaml", line=7
    )
    Problem.objects.create(
        source=source,
        fingerprint="1",
        rule="catalog.format.tag",
        message="tags.0 has to be lower case",
        owner_ref=BOOKINGS,
        entity_ref="component:default/berth-1",
        url="https://git.example.org/f.yaml",
        line=4,
        source_line="  - Node.js",
        corrected_line="  - node-js",
        remedy="Write it in lower case.",
        first_seen_at=now,
        last_seen_at=now,
    )


@pytest.fixture
def open_browser(browser: Browser, live_server: Any, catalog: None) -> Iterator[Callable[..., Page]]:
    """Opens a window and signs in. What the console complains about, policy violations too, fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def start(*, width: int = 1280, dark: bool = False, script: bool = True) -> Page:
        context = browser.new_context(
            base_url=live_server.url,
            viewport={"width": width, "height": 900},
            java_script_enabled=script,
            color_scheme="dark" if dark else "light",
            has_touch=width < 500,
            is_mobile=width < 500,
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/accounts/login/")
        page.fill("[name=login]", "maren")
        page.fill("[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url("**/")
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []
