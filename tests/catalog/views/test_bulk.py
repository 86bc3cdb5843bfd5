"""Acting on a list in the portal: the preview, the button, the outcome, the way back."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import BulkOperation, Entity
from portal.access.models import User
from portal.jobs.running import run_job
from tests.factories.access import StaffFactory, UserFactory
from tests.factories.managed import Api, written
from tests.factories.sources import document

pytestmark = pytest.mark.django_db(transaction=True)
ACT = "/catalog/act/?kind=component"


@pytest.fixture
def maren() -> User:
    user: User = StaffFactory(username="maren")
    return user


@pytest.fixture
def curator(maren: User) -> Client:
    api = Api(maren)
    for number in range(3):
        api.put(f"component/default/s{number}", written(f"s{number}"))
    client = Client()
    client.force_login(maren)
    return client


def get(client: Client, url: str, status: int = 200) -> str:
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(url)
    assert answer.status_code == status, answer.content
    # Inside of a test's transaction rules are read anew.
    assert len(queries) <= 12 + 1, [q["sql"][:120] for q in queries]
    return answer.content.decode()


def token(page: str) -> str:
    found = re.search(r'name="token" value="(\w+)"', page)
    assert found is not None
    return found[1]


def test_a_curator_acts_on_a_filtered_list_and_undoes_it(curator: Client) -> None:
    assert "/catalog/act/" not in get(curator, "/catalog/"), "not on the whole catalog"
    assert f'href="{ACT}"' in get(curator, "/catalog/?kind=component")
    assert "Act on 3 entities" in get(curator, ACT)
    look = f"{ACT}&do=set&field=owner&value=team-b"
    page = get(curator, look)
    assert "Set owner to team-b" in page
    assert "<del>platform</del>" in page
    assert "<ins>team-b</ins>" in page
    answer = curator.post(look, {"token": token(page)})
    operation = BulkOperation.objects.unrestricted("test").get()
    assert answer["Location"] == f"/catalog/operations/{operation.pk}/"
    running = get(curator, answer["Location"])
    assert "Waits for a worker" in running
    assert "Undo</button>" not in running
    assert "HX-Refresh" not in curator.get(f"{answer['Location']}progress/")
    run_job(operation.job_id)
    assert curator.get(f"{answer['Location']}progress/")["HX-Refresh"] == "true"
    assert document("component:default/s1")["spec"]["owner"] == "team-b"
    done = get(curator, answer["Location"])
    assert "Undo</button>" in done
    back = curator.post(f"{answer['Location']}undo/")
    undo = BulkOperation.objects.unrestricted("test").get(undoes=operation)
    assert back["Location"] == f"/catalog/operations/{undo.pk}/"
    run_job(undo.job_id)
    assert document("component:default/s1")["spec"]["owner"] == "platform"
    assert "Undo: Set owner to team-b" in get(curator, "/catalog/operations/")
    assert "It was undone" in get(curator, answer["Location"])
    again = curator.post(f"{answer['Location']}undo/", follow=True)
    assert "undone already" in again.content.decode()


def test_a_preview_that_is_old_is_shown_anew_instead_of_done(curator: Client) -> None:
    look = f"{ACT}&do=delete"
    old = token(get(curator, look))
    Entity.objects.filter(name="s1").update(etag="other")
    answer = curator.post(look, {"token": old}, follow=True)
    assert "changed since the preview" in answer.content.decode()
    assert not BulkOperation.objects.unrestricted("test").exists()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("kind=component&do=set&field=owner&value=", "required property"),
        ("kind=component&do=set&field=nothing&value=x", "Choose a field"),
        ("kind=component&do=nothing", "request/body/do"),
        ("kind=component&q=nowhere&do=delete", "Nothing is selected"),
        ("kind=component&do=refresh", "Kept here: nothing to read"),
    ],
)
def test_what_cannot_be_done_is_said_on_the_page(curator: Client, query: str, words: str) -> None:
    assert words in get(curator, f"/catalog/act/?{query}")


def test_the_whole_catalog_is_nothing_to_act_on(curator: Client) -> None:
    assert "Filter the list first" in get(curator, "/catalog/act/", 400)


def test_somebody_who_may_not_curate_gets_no_button_and_no_page(curator: Client) -> None:
    client: Any = Client()
    client.force_login(UserFactory(username="elif"))
    assert "/catalog/act/" not in get(client, "/catalog/?kind=component")
    assert client.get(ACT).status_code == 403
    assert client.get("/catalog/operations/").status_code == 403


def test_an_empty_list_of_operations_says_how_to_begin(maren: User) -> None:
    client = Client()
    client.force_login(maren)
    assert "Act on these" in get(client, "/catalog/operations/")


def test_a_long_operation_is_shown_a_page_at_a_time(curator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.views.bulk.PAGE", 2)
    look = f"{ACT}&do=delete"
    answer = curator.post(look, {"token": token(get(curator, look))})
    first = get(curator, answer["Location"])
    assert "s1" in first
    assert "default/s2" not in first
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    assert "default/s2" in get(curator, following[1])


def test_what_was_is_nothing_to_act_on(curator: Client) -> None:
    now = quote(timezone.now().isoformat())
    assert "/catalog/act/" not in get(curator, f"/catalog/?kind=component&at={now}")


def test_what_is_kept_here_says_so_and_offers_nothing_to_read(curator: Client) -> None:
    page = get(curator, "/catalog/default/component/s1/")
    assert "kept here, no file" in page
    assert "Confirmed</dt>" not in page
    assert "/refresh/" not in page
    assert "Kept here</span>" in get(curator, "/catalog/sources/")
    assert "Not read yet" not in get(curator, "/catalog/health/")
