"""The pages of problems and sources, and the home page."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from catalog.models import Entity, Problem, Source, Sync
from catalog.views import problems as problems_view
from portal.jobs.models import Job
from tests.catalog.views.conftest import BOOKINGS, FARES, MOST_STATEMENTS, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def source(db: None) -> Source:
    now = timezone.now()
    made = Source.objects.create(
        name="skerry",
        type="git",
        target="https://git.example.org/skerry",
        entity_ref="location:default/s",
        last_sync_at=now,
        last_success_at=now,
    )
    Sync.objects.create(
        source=made,
        state="partial",
        actor="system:scheduler",
        started_at=now - timedelta(seconds=3),
        finished_at=now,
        added=2,
        changed=1,
        problems=1,
    )
    return made


def problem(source: Source, n: int = 0, **values: Any) -> Problem:
    now = timezone.now()
    given = {
        "rule": "catalog.format.tag",
        "message": "tags.0 has to be lower case; got <Node.js>",
        "entity_ref": "component:default/booking-api",
        "owner_ref": BOOKINGS,
        "url": "https://git.example.org/skerry/catalog-info.yaml",
        "line": 7,
        "column": 7,
        "path": "/metadata/tags/0",
        "value": '"Node.js"',
        "source_line": "    - Node.js",
        "corrected_line": "    - node-js",
        "remedy": "Write it in lower case.",
        "first_seen_at": now - timedelta(days=3),
        "last_seen_at": now,
    }
    return Problem.objects.create(source=source, fingerprint=str(n), **{**given, **values})


def test_a_problem_names_place_rule_remedy_and_the_corrected_line(
    catalog: dict[str, Entity], reader: Client, source: Source
) -> None:
    problem(source)
    page = text_of(reader.get("/catalog/problems/"))
    for words in (
        "catalog.format.tag",
        "Write it in lower case.",
        "line 7, column 7",
        "/metadata/tags/0",
        "3 d ago",
    ):
        assert words in page
    assert "got &lt;Node.js&gt;" in page
    assert 'href="https://git.example.org/skerry/catalog-info.yaml#L7"' in page
    assert "<del>N</del>" in page
    assert "<ins>n</ins>" in page
    assert 'href="/catalog/default/component/booking-api/"' in page


def test_problems_are_narrowed_by_rule_owner_source_and_entity(
    catalog: dict[str, Entity], reader: Client, source: Source
) -> None:
    problem(source, 1)
    problem(source, 2, rule="catalog.yaml.syntax", message="No such YAML", owner_ref=FARES, entity_ref="")
    assert "2 in all" in text_of(reader.get("/catalog/problems/"))
    by_rule = text_of(reader.get("/catalog/problems/?rule=catalog.yaml.syntax"))
    assert "No such YAML" in by_rule
    assert "tags.0" not in by_rule
    assert "No such YAML" not in text_of(reader.get("/catalog/problems/?mine=1"))
    assert "tags.0" in text_of(reader.get("/catalog/problems/?entity=component:default/booking-api"))
    assert "2 in all" in text_of(reader.get(f"/catalog/problems/?source={source.pk}"))
    assert "No problem matches" in text_of(reader.get("/catalog/problems/?rule=x"))
    assert reader.get("/catalog/problems/?source=x").status_code == 400


def test_problems_have_pages(
    catalog: dict[str, Entity], reader: Client, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems_view, "PAGE", 2)
    made = [problem(source, n).pk for n in range(5)]
    first = text_of(reader.get("/catalog/problems/"))
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    second = text_of(reader.get(following[1].replace("&amp;", "&")))
    back = re.search(r'rel="prev" href="([^"]+)"', second)
    assert back is not None
    seen = [int(n) for page in (first, second) for n in re.findall(r'id="problem-(\d+)"', page)]
    assert seen == made[:4]
    assert re.findall(r'id="problem-(\d+)"', text_of(reader.get(back[1].replace("&amp;", "&")))) == [
        str(n) for n in made[:2]
    ]
    assert reader.get("/catalog/problems/?after=x").status_code == 400


def test_no_problems_is_good_news(reader: Client) -> None:
    assert "No problems" in text_of(reader.get("/catalog/problems/"))


def test_sources_show_outcome_counts_and_freshness(
    catalog: dict[str, Entity], reader: Client, source: Source
) -> None:
    problem(source)
    Entity.objects.filter(kind="component").update(source=source)
    Source.objects.create(name="new one", target="https://x.example.org", entity_ref="location:default/n")
    page = text_of(reader.get("/catalog/sources/"))
    assert "Done, with problems" in page
    assert "Not read yet" in page
    assert "5<span" in page
    assert f"/catalog/?source={source.pk}" in page


def test_one_source_shows_its_readings_and_problems(
    catalog: dict[str, Entity], reader: Client, source: Source
) -> None:
    problem(source)
    page = text_of(reader.get(f"/catalog/sources/{source.pk}/"))
    assert "every 5 min" in page
    assert "2, 1, 0" in page
    assert "tags.0" in page
    assert "Refresh" not in page
    assert reader.get("/catalog/sources/00000000-0000-0000-0000-000000000000/").status_code == 404


def test_only_those_who_curate_sync_now(
    reader: Client, curator: Client, source: Source, django_capture_on_commit_callbacks: Any
) -> None:
    address = f"/catalog/sources/{source.pk}/"
    assert reader.post(f"{address}sync/").status_code == 403
    assert curator.get(f"{address}sync/").status_code == 405
    answer = curator.post(f"{address}sync/", follow=True)
    assert "Waiting for a worker." in text_of(answer)
    assert Job.objects.filter(kind="catalog.sync_source", state="queued").count() == 1


def test_progress_is_asked_for_until_it_is_over(curator: Client, source: Source) -> None:
    address = f"/catalog/sources/{source.pk}/progress/"
    over = curator.get(address)
    assert over["HX-Refresh"] == "true"
    job = Job.objects.create(
        kind="catalog.sync_source",
        key=f"catalog.sync:{source.pk}",
        actor="user:x",
        state="running",
        lease_until=timezone.now(),
        attempts=1,
        progress_done=3,
        progress_total=9,
        progress_text="Writing",
    )
    running = curator.get(address)
    assert "HX-Refresh" not in running
    assert '<progress max="9" value="3"' in text_of(running)
    assert 'hx-trigger="every 1s"' in text_of(running)
    job.delete()


def test_home_says_what_needs_you_what_is_yours_and_what_changed(
    catalog: dict[str, Entity], reader: Client, source: Source
) -> None:
    problem(source, 1)
    problem(source, 2, owner_ref=FARES, message="Not mine")
    page = text_of(reader.get("/"))
    assert 'Needs you <span class="count">1</span>' in page
    assert "Not mine" not in page
    assert "Booking site" in page
    assert "Changed last" in page
    assert re.search(r"Components</span></a><span class=\"count ml-auto\">5</span>", page)


def test_home_of_an_empty_catalog_says_how_to_begin(reader: Client) -> None:
    page = text_of(reader.get("/"))
    assert "The catalog is empty" in page
    assert "Changed last" not in page


def test_a_person_without_teams_has_a_home_too(catalog: dict[str, Entity], curator: Client) -> None:
    page = text_of(curator.get("/"))
    assert "Needs you" not in page
    assert "Changed last" in page


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/catalog/problems/",
        "/catalog/problems/?mine=1&rule=catalog.format.tag",
        "/catalog/sources/",
        "one",
    ],
)
def test_these_pages_take_few_statements(
    catalog: dict[str, Entity],
    reader: Client,
    source: Source,
    statements: Callable[[Client, str], int],
    address: str,
) -> None:
    for n in range(12):
        problem(source, n)
    assert (
        statements(reader, f"/catalog/sources/{source.pk}/" if address == "one" else address)
        <= MOST_STATEMENTS
    )
