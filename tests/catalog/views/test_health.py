"""The health page and its lists: every number is the length of the list that it leads to."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from catalog.models import Contender, Entity, Source, SyncCount
from catalog.query.figures import forget_figures, read_figures
from catalog.query.health import NUMBERS, health_report
from portal.access.viewer import Viewer
from portal.observability.metrics import at_scrape
from tests.architecture.house import ROOT
from tests.factories.access import TokenFactory
from tests.factories.world import make_problem, make_source

SYSTEM = Viewer.system("test")
BEARER = {"Authorization": "Bearer metrics-token"}


@pytest.fixture
def sources(catalog: dict[str, Entity]) -> tuple[Source, Source]:
    """Two sources that both declare booking-api; the second one fails."""
    now = timezone.now()
    first = make_source("first", last_success_at=now, priority=10)
    second = make_source(
        "second", last_success_at=now, failures=4, failing_since=now, last_error="404 there", state="failed"
    )
    Entity.objects.update(source=first)
    Entity.objects.filter(name="fare-engine").update(confirmed_at=now.replace(year=2020))
    Entity.objects.filter(name="orphan").update(state="orphaned", source=None)
    Entity.objects.filter(name="booking-db").update(state="missing")
    Entity.objects.filter(name="booking-web").update(has_errors=True)
    Contender.objects.create(
        source=second, entity_ref="component:default/booking-api", url="https://b.example.org/x.yaml", line=7
    )
    make_problem(first, entity_ref="component:default/booking-api")
    for outcome, count in (("success", 98), ("failed", 2), ("outage", 5)):
        SyncCount.objects.create(source=first, outcome=outcome, day=now.date(), count=count)
    return first, second


def _api(path: str) -> Any:
    TokenFactory(text="cb_reader")
    return Client(headers={"Authorization": "Bearer cb_reader"}).get(f"/api/catalog/v1/{path}")


@pytest.mark.req("R190")
def test_every_number_of_the_report_is_the_length_of_the_list_it_leads_to(
    sources: Any, reader: Client
) -> None:
    body = json.loads(_api("health-report").content)
    values = {number["key"]: number["value"] for number in body["numbers"]}
    assert values == {
        "entities": 11, "fresh": 9, "stale": 2, "missing": 1, "errors": 1, "orphaned": 1, "dangling": 2,
        "unowned": 1, "missing_targets": 2, "conflicts": 1, "problems": 1,
    }  # fmt: skip
    for number in body["numbers"]:
        page = reader.get(number["url"])
        assert page.status_code == 200
        if number["url"].startswith("/catalog/?") or number["url"] == "/catalog/":
            assert page.context["page"].count == number["value"], number["key"]
        assert number["definition"] and number["target"] and number["gotcha"] and number["owner"]


@pytest.mark.req("R007")
def test_who_names_no_owner_is_counted_and_listed(sources: Any, reader: Client) -> None:
    number = next(number for number in NUMBERS if number.key == "unowned")
    assert number.query is not None
    page = reader.get("/catalog/?owner=none&kind=-group&kind=-user&kind=-location").context["page"]
    assert [row.ref for row in page.rows] == ["component:legacy/orphan"]


def test_the_page_says_the_shares_with_their_targets_and_which_source_fails(
    sources: Any, reader: Client
) -> None:
    text = reader.get("/catalog/health/").content.decode()
    assert "98.0 %" in text  # of 100 readings, the outages left out
    assert "404 there" in text
    assert "4 failures in a row" in text
    for number in NUMBERS:
        assert number.title in text
        assert number.gotcha.replace("'", "&#x27;") in text


@pytest.mark.usefixtures("catalog")
def test_the_command_says_the_same_as_the_api(sources: Any) -> None:
    out = StringIO()
    call_command("catalog", "health", "--json", stdout=out)
    said = json.loads(out.getvalue())
    assert said["numbers"] == json.loads(_api("health-report").content)["numbers"]
    assert said["readings"]["ratio"] == 0.98
    plain = StringIO()
    call_command("catalog", "health", stdout=plain)
    assert "failures in a row: second: 404 there" in plain.getvalue()


# --- conflicts


def test_a_conflict_says_who_has_it_who_lost_and_why_on_every_side(
    sources: tuple[Source, Source], reader: Client
) -> None:
    first, second = sources
    reason = "first has priority 10, second 100: the smaller number wins."
    (row,) = json.loads(_api("conflicts").content)["items"]
    assert (row["ref"], row["reason"]) == ("component:default/booking-api", reason)
    assert (row["winner"]["source"]["name"], row["loser"]["source"]["name"]) == ("first", "second")
    assert (row["loser"]["url"], row["loser"]["line"]) == ("https://b.example.org/x.yaml", 7)
    assert reason in reader.get("/catalog/conflicts/").content.decode()
    entity = reader.get("/catalog/default/component/booking-api/").content.decode()
    assert "Also declared elsewhere" in entity
    assert reason in entity
    for source in sources:
        page = reader.get(f"/catalog/sources/{source.pk}/").content.decode()
        assert "1 declaration in conflict" in page.replace("<strong>", "").replace("</strong>", "")
        assert f"/catalog/conflicts/?source={source.pk}" in page
        narrowed = reader.get(f"/catalog/conflicts/?source={source.pk}").content.decode()
        assert reason in narrowed
    other = make_source("third")
    assert "No conflict matches" in reader.get(f"/catalog/conflicts/?source={other.pk}").content.decode()
    del first, second


def test_a_person_can_look_at_conflicts_of_what_they_own_only(sources: Any, reader: Client) -> None:
    assert len(reader.get("/catalog/conflicts/?mine=1").context["page"].rows) == 1  # Bookings own it
    Contender.objects.create(
        source=sources[1], entity_ref="component:default/fare-engine", url="https://b.example.org/y"
    )
    assert len(reader.get("/catalog/conflicts/?mine=1").context["page"].rows) == 1
    assert len(reader.get("/catalog/conflicts/").context["page"].rows) == 2


def test_a_curator_sees_in_admin_who_else_declares_an_entity(
    sources: Any, curator: Client, catalog: Any
) -> None:
    from tests.factories.access import StaffFactory

    admin = Client()
    admin.force_login(StaffFactory(is_superuser=True))
    entity = catalog["component:default/booking-api"]
    text = admin.get(f"/admin/catalog/entity/{entity.pk}/change/").content.decode()
    assert "second, https://b.example.org/x.yaml (line 7), which lost." in text
    stale = admin.get("/admin/catalog/entity/?fresh=stale").context["cl"].result_count
    nothing = admin.get("/admin/catalog/entity/?refs=nothing").context["cl"].result_count
    assert (stale, nothing) == (2, 2)


def test_conflicts_come_in_pages_and_refuse_what_is_no_cursor(sources: tuple[Source, Source]) -> None:
    for n in range(4):
        url = f"https://b.example.org/{n}.yaml"
        Contender.objects.create(source=sources[1], entity_ref="component:default/fare-engine", url=url)
    TokenFactory(text="cb_pages")
    client = Client(headers={"Authorization": "Bearer cb_pages"})
    seen, cursor = [], ""
    while True:
        path = "/api/catalog/v1/conflicts?limit=2" + (f"&cursor={cursor}" if cursor else "")
        body = client.get(path).json()
        seen += [row["loser"]["url"] for row in body["items"]]
        cursor = body["pageInfo"].get("nextCursor", "")
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 5
    for bad in ("x", "eyJhdCI6WyIiLC0xXSwiYmFjayI6ZmFsc2V9"):
        assert client.get(f"/api/catalog/v1/conflicts?cursor={bad}").status_code == 400
    assert client.get("/api/catalog/v1/conflicts?source=x").status_code == 400
    assert client.get("/api/catalog/v1/conflicts?colour=x").status_code == 400


# --- references and freshness over REST


def test_references_name_who_points_there_and_what_may_have_been_meant(sources: Any, reader: Client) -> None:
    items = json.loads(_api("references").content)["items"]
    assert [(item["ref"], item["entities"], item["relations"]) for item in items] == [
        ("group:default/gone", 1, {"ownedBy": 1}),
        ("resource:default/nowhere", 1, {"dependsOn": 1}),
    ]
    page = reader.get("/catalog/references/?to=group:default/gone")
    assert [row.entity.ref for row in page.context["page"].rows] == ["component:default/lost-and-found"]
    assert page.context["page"].rows[0].ways == ["owned by"]


def test_a_typing_error_is_told_from_what_was_meant(catalog: dict[str, Entity], reader: Client) -> None:
    from tests.factories.catalog import document, store

    store(
        [
            document(
                "x", relations=[("ownedBy", "group:default/bokings"), ("dependsOn", "api:default/booking-db")]
            )
        ]
    )
    rows = {row.ref: row.like for row in reader.get("/catalog/references/").context["page"].rows}
    assert rows["group:default/bokings"].ref == "group:default/bookings"
    assert rows["api:default/booking-db"].ref == "resource:default/booking-db"
    assert rows["resource:default/nowhere"] is None


def test_the_freshness_of_one_entity(sources: tuple[Source, Source]) -> None:
    body = json.loads(_api("entities/component/default/booking-api/freshness").content)
    assert (body["fresh"], body["state"], body["staleAfterDays"]) == (True, "active", 7.0)
    assert body["confirmedAt"] == sources[0].last_success_at.isoformat()  # type: ignore[union-attr]  # it was set
    assert _api_status("entities/component/default/nobody/freshness") == 404


def _api_status(path: str) -> int:
    TokenFactory(text="cb_other")
    return Client(headers={"Authorization": "Bearer cb_other"}).get(f"/api/catalog/v1/{path}").status_code


# --- figures


@pytest.mark.req("R177")
def test_the_figures_for_prometheus_are_those_of_the_report(sources: Any, client: Client) -> None:
    forget_figures()
    text = client.get("/metrics", headers=BEARER).text
    for line in (
        "callboard_catalog_stale_entities 2.0",
        "callboard_catalog_dangling_entities 2.0",
        "callboard_catalog_missing_references 2.0",
        "callboard_catalog_conflicts 1.0",
        'callboard_sync_attempts_total{outcome="failed",source="first"} 2.0',
        'callboard_sync_attempts_total{outcome="outage",source="first"} 5.0',
        'callboard_source_failures_in_a_row{source="second"} 4.0',
        'callboard_catalog_freshness_ratio{kind="component"} 0.6',
        'callboard_figures_failed{group="catalog"} 0.0',
    ):
        assert line in text, line
    at = sources[0].last_success_at.timestamp()
    found = re.search(r'last_success_timestamp_seconds{source="first"} (\S+)', text)
    assert found is not None
    assert float(found[1]) == pytest.approx(at)


def test_figures_that_fail_leave_the_others_where_they_are(client: Client, db: None) -> None:
    from portal.observability import metrics

    def broken() -> Any:
        raise RuntimeError("no database")

    at_scrape("broken", broken)
    try:
        text = client.get("/metrics", headers=BEARER).text
    finally:
        del metrics._asked["broken"]
    assert 'callboard_figures_failed{group="broken"} 1.0' in text
    assert "callboard_http_request_seconds" in text


def test_sources_beyond_the_first_ones_are_one_label(sources: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.query.figures.MOST_SOURCES", 1)
    SyncCount.objects.create(source=sources[1], outcome="failed", day=timezone.now().date(), count=3)
    samples = {
        (s.name, s.labels.get("source"), s.labels.get("outcome")): s.value
        for metric in read_figures()
        for s in metric.samples
        if "source" in s.labels
    }
    assert samples["callboard_sync_attempts_total", "(others)", "failed"] == 3
    assert samples["callboard_source_failures_in_a_row", "(others)", None] == 4
    assert {source for _, source, _ in samples} == {"first", "(others)"}


def test_the_example_rules_ask_only_for_figures_that_there_are(sources: Any, client: Client) -> None:
    forget_figures()
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "callboard.rules.yml").read_text())
    known = set(re.findall(r"^(callboard\w+)", client.get("/metrics", headers=BEARER).text, re.MULTILINE))
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    recorded = {rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule}
    asked = {name for text in expressions for name in re.findall(r"\bcallboard[a-z_:0-9]+", text)}
    assert asked <= known | recorded
    assert len(asked) >= 6
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert "record" in rule or {"summary", "description"} <= rule["annotations"].keys()


def test_the_report_of_an_empty_catalog_has_no_shares(db: None, reader: Client) -> None:
    report = health_report(SYSTEM)
    assert (report.freshness.all.ratio, report.readings.share.ratio) == (None, None)
    assert "none yet" in reader.get("/catalog/health/").content.decode()
