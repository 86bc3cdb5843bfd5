"""Acting on many entities in a browser: choose, look, do, undo; axe, the phone, and without a script."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from catalog.models import BulkOperation
from catalog.refs import parse_ref
from catalog.services.managed import put_entity
from portal.jobs.running import run_job
from tests.browser.test_portal import RULES
from tests.factories.managed import CURATOR, written

pytestmark = [pytest.mark.browser, pytest.mark.services("npm")]
LIST = "/catalog/?kind=component&q=kiosk"


@pytest.fixture
def kiosks(catalog: None) -> None:
    for number in range(3):
        name = f"kiosk-{number}"
        put_entity(
            actor=CURATOR,
            ref=parse_ref(f"component:default/{name}"),
            document=written(name, title=f"Kiosk {number}"),
        )


def run_bulk_jobs() -> None:
    for operation in BulkOperation.objects.unrestricted("test").filter(state="running"):
        run_job(operation.job_id)


def check(page: Page, axe: str) -> None:
    """No rule of axe is broken, and nothing reaches beyond the window."""
    page.evaluate(axe)
    result = page.evaluate("rules => axe.run({runOnly: rules, resultTypes: ['violations']})", RULES)
    assert [(v["id"], [n["target"] for n in v["nodes"]]) for v in result["violations"]] == [], page.url
    width = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width[0] <= width[1], page.url


@pytest.mark.parametrize("width,script,dark", [(1280, True, False), (390, True, True), (1280, False, False)])
def test_a_curator_looks_does_and_undoes(
    open_browser: Callable[..., Page], kiosks: None, axe: str, width: int, script: bool, dark: bool
) -> None:
    page = open_browser(width=width, script=script, dark=dark)

    def seen() -> None:
        if script:
            check(page, axe)

    page.goto(LIST)
    seen()
    page.get_by_role("link", name="Act on these 3").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Act on 3 entities")
    seen()
    page.get_by_label("to", exact=True).fill("bookings")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Set owner to bookings")
    expect(page.locator("ins")).to_have_text(["bookings"] * 3)
    seen()
    page.get_by_role("button", name="Change 3").click()
    expect(page.locator("#progress")).to_contain_text("Running.")
    seen()
    run_bulk_jobs()
    if not script:
        page.get_by_role("link", name="Look again").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()  # the page has loaded itself anew
    seen()
    page.get_by_role("button", name="Undo").click()
    run_bulk_jobs()
    page.goto("/catalog/operations/")
    expect(page.get_by_role("row")).to_have_count(3)
    seen()
