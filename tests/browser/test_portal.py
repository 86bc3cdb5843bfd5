"""The portal in a browser: keys, filters that swap the list, the phone, axe, and everything without a script."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from catalog.models import Kind
from portal.jobs.models import Job
from tests.factories.catalog import document, store

pytestmark = pytest.mark.browser

ENTITY = "/catalog/default/component/berth-1/"
PAGES = (
    "/", "/catalog/", "/catalog/?kind=component&tag=-pci&q=berth", "/catalog/?kind=component&type=nothing", ENTITY,
    f"{ENTITY}relations/", f"{ENTITY}apis/", f"{ENTITY}raw/", "/catalog/default/api/berths/api/",
    "/catalog/default/group/bookings/", "/catalog/problems/", "/catalog/sources/",
    "/catalog/health/", "/catalog/conflicts/", "/catalog/references/",
    "/catalog/references/?to=component:default/berth-60", "/catalog/?refs=nothing&fresh=stale",
    "/accounts/password/change/",
)  # fmt: skip
FEW_PAGES = ("/", "/catalog/", ENTITY, "/catalog/problems/")
ADMIN_PAGES = (
    "/admin/", "/admin/catalog/entity/", "/admin/catalog/kind/",
    "/admin/catalog/source/", "/admin/catalog/source/add/", "/admin/catalog/problem/", "/admin/access/user/",
    "/admin/access/token/add/", "/admin/access/membership/add/", "/admin/audit/auditevent/", "/admin/plugins/",
)  # fmt: skip
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def test_a_person_finds_filters_opens_and_walks_through_tabs(open_browser: Callable[..., Page]) -> None:
    page = open_browser()
    page.keyboard.press("/")
    expect(page.locator("[data-search]")).to_be_focused()
    page.keyboard.type("berth")
    page.keyboard.press("Enter")
    page.wait_for_url("**/catalog/?q=berth")
    expect(page.locator("#results")).to_contain_text("12 of 61 shown")

    page.get_by_label("website").check()  # swaps the list in place
    page.wait_for_url("**type=website**")
    expect(page.locator("#results")).to_contain_text("12 of 30 shown")
    expect(page.locator(".chip")).to_have_count(2)
    page.get_by_label("Remove filter Type is website").click()
    page.wait_for_url("**/catalog/?q=berth")

    page.keyboard.press("j")
    expect(page.locator("[data-row]").first).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/catalog/default/component/berth-0/")
    expect(page.get_by_role("heading", level=1)).to_have_text("berth-0")
    page.keyboard.press("]")
    page.wait_for_url("**/relations/")
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_url("**/catalog/problems/")
    expect(page.locator("ins")).to_have_text(["n", "-"])


def test_a_choice_made_on_the_page_survives_the_swap(open_browser: Callable[..., Page]) -> None:
    page = open_browser()
    page.goto("/catalog/")
    page.locator("#facet-tag summary").click()  # closes it
    page.get_by_label("website").check()
    page.wait_for_url("**type=website**")
    expect(page.locator("#results")).to_contain_text("12 of 30 shown")
    expect(page.locator("#facet-tag")).not_to_have_attribute("open", "")
    page.go_back()
    page.wait_for_url("**/catalog/")
    expect(page.locator("#results")).to_contain_text("12 of 63 shown")


def test_an_impatient_double_click_reads_a_source_once(open_browser: Callable[..., Page]) -> None:
    page = open_browser()
    page.goto("/catalog/sources/")
    page.get_by_role("link", name="skerry").click()
    page.get_by_role("button", name="Refresh").dblclick()
    expect(page.get_by_text("Waiting for a worker.")).to_have_count(1)
    assert Job.objects.unrestricted("the test looks at all").count() == 1


def test_a_name_that_is_cut_off_is_whole_on_hover_and_never_below_the_search(
    open_browser: Callable[..., Page],
) -> None:
    name = "a-very-long-name-" + "x" * 46
    store([document(name)])
    page = open_browser()
    page.goto(f"/catalog/?q={name[:20]}")
    link = page.locator("[data-row] > span:not(.sr)").first
    link.hover()
    expect(link).to_have_attribute("title", name)
    for width in (1280, 1000, 800, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"/catalog/default/component/{name}/")
        crumbs = page.locator(".crumbs [aria-current]").bounding_box()
        beside = page.locator(".topbar search, .topbar .tools a").locator("visible=true").first.bounding_box()
        assert crumbs is not None
        assert beside is not None
        assert crumbs["width"] > 20
        assert crumbs["x"] + crumbs["width"] <= beside["x"], width
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_appearance_changes_at_once_and_stays(open_browser: Callable[..., Page]) -> None:
    page = open_browser()
    page.get_by_role("button", name="Your menu").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/catalog/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_phone_has_filters_in_a_sheet_and_no_sideways_scroll(open_browser: Callable[..., Page]) -> None:
    page = open_browser(width=390)
    for address in PAGES:
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
    page.goto("/catalog/?kind=component")
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("website").check()
    page.wait_for_url("**type=website**")
    page.get_by_role("button", name="Show 30").click()
    page.wait_for_load_state()
    expect(page.locator("#results")).to_contain_text("12 of 30 shown")


def test_everything_works_without_a_script(open_browser: Callable[..., Page]) -> None:
    page = open_browser(script=False)
    page.goto("/catalog/?kind=component")
    page.get_by_label("website").check()
    page.get_by_role("button", name="Apply filters").click()
    page.wait_for_url("**type=website**")
    expect(page.locator("#results")).to_contain_text("12 of 30 shown")
    page.get_by_role("link", name="Owner").first.click()
    page.wait_for_url("**sort=owner**")
    page.get_by_role("button", name="Your menu").click()
    page.get_by_role("button", name="Light").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Your menu").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/**")


@pytest.mark.services("npm")
@pytest.mark.parametrize(
    ("dark", "width", "pages", "rules"),
    [
        pytest.param(False, 1280, PAGES, RULES, id="light"),
        pytest.param(True, 1280, FEW_PAGES, ["color-contrast"], id="dark"),
        pytest.param(True, 1280, PAGES, ["color-contrast"], id="dark, all", marks=pytest.mark.slow),
        pytest.param(False, 390, FEW_PAGES, RULES, id="phone"),
    ],
)
def test_no_page_violates_an_accessibility_rule(
    open_browser: Callable[..., Page],
    axe: str,
    dark: bool,
    width: int,
    pages: tuple[str, ...],
    rules: list[str],
) -> None:
    page = open_browser(dark=dark, width=width)
    found = []
    for address in pages:
        page.goto(address)
        page.evaluate(axe)
        result = page.evaluate("rules => axe.run({runOnly: rules, resultTypes: ['violations']})", rules)
        found += [(address, v["id"], [n["target"] for n in v["nodes"]]) for v in result["violations"]]
    assert found == []


@pytest.mark.services("npm")
@pytest.mark.parametrize("dark", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_no_page_of_the_admin_violates_a_rule_that_matters(
    open_browser: Callable[..., Page], axe: str, dark: bool
) -> None:
    page = open_browser(dark=dark)
    found = []
    kind = Kind.objects.unrestricted("any will do").earliest("pk")
    for address in (*ADMIN_PAGES, f"/admin/catalog/kind/{kind.pk}/change/"):
        page.goto(address)
        page.wait_for_load_state("networkidle")
        page.evaluate(axe)
        result = page.evaluate("rules => axe.run({runOnly: rules, resultTypes: ['violations']})", RULES)
        found += [
            (address, v["id"], [n["target"] for n in v["nodes"]])
            for v in result["violations"]
            if v["impact"] != "minor"
        ]
    assert found == []
