"""A walk through every address, as nobody, as a member and as a curator.

Nobody sees anything, nothing breaks, and nothing is read without saying for whom: a read that is not scoped raises in
the test client, and one inside an extension, which would only lose its card, is counted as failed.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from prometheus_client import REGISTRY
from rest_framework.views import APIView

from tests.access import matrix
from tests.access.matrix import ADMIN_APP, ADMIN_PAGES, ADMIN_SITE, ENTRIES, OPERATIONS, Entry
from tests.admin.test_pages import ROWS
from tests.factories.world import World

pytestmark = pytest.mark.req("R114")
ROUTES = dict(matrix.routes())
MODELS = {f"{m._meta.app_label}/{m._meta.model_name}": m for m in admin.site._registry}


def _client(world: World, person: str) -> Client:
    client = Client()
    if person != "anonymous":
        client.force_login(getattr(world, person))
    return client


def _failed_extensions() -> float:
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        if metric.name == "callboard_extension_outcomes"
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["outcome"] == "failed"
    )


def _admin_routes() -> list[tuple[str, str, str]]:
    """(route, key of the model, sort of page) of every admin page that is of a model."""
    found = []
    for route in ROUTES:
        _, _, rest = route.partition("admin/")
        key = "/".join(rest.split("/")[:2])
        if route.startswith("admin/") and key in MODELS:
            found.append((route, key, rest[len(key) + 1 :]))
    return found


def test_every_address_has_an_entry() -> None:
    known = {entry.route for entry in ENTRIES} | set(ADMIN_SITE) | {route for route, _, _ in _admin_routes()}
    missing = [route for route in ROUTES if route not in known and not route.startswith(ADMIN_APP)]
    assert missing == [], "add these to tests/access/matrix.py"
    gone = [entry.route for entry in ENTRIES if entry.route not in ROUTES]
    assert gone == [], "these addresses are no more"


def test_every_sort_of_admin_page_has_an_entry() -> None:
    missing = {sort for _, _, sort in _admin_routes()} - set(ADMIN_PAGES)
    assert missing == set(), "add these to ADMIN_PAGES in tests/access/matrix.py"


def test_every_method_of_the_api_has_an_entry() -> None:
    asked = {(entry.route, entry.method) for entry in ENTRIES}
    missing = []
    for route, view in ROUTES.items():
        cls: Any = getattr(view, "cls", None)
        if isinstance(cls, type) and issubclass(cls, APIView):
            offered = [m.upper() for m in ("get", "post", "put", "patch", "delete") if hasattr(cls, m)]
            missing += [f"{method} {route}" for method in offered if (route, method) not in asked]
    assert missing == [], "add these to tests/access/matrix.py"


def _ask(world: World, client: Client, entry: Entry) -> Any:
    path = entry.path.format(source=world.source.pk, uid=world.entity.uid, operation=world.operation.pk)
    answer: Any = client.generic(entry.method, path, **matrix.body_of(entry))
    if hasattr(answer, "streaming_content"):
        list(answer.streaming_content)
    return answer


def _check(world: World, entry: Entry, person: str) -> str:
    """What is wrong with the answer; empty where nothing is."""
    failed = _failed_extensions()
    answer = _ask(world, _client(world, person), entry)
    if answer.status_code != getattr(entry, person):
        return f"{entry}: {answer.status_code} instead of {getattr(entry, person)}"
    if _failed_extensions() != failed:
        return f"{entry}: an extension of this page broke"
    if (
        person == "anonymous"
        and answer.status_code == matrix.SIGN_IN
        and not entry.path.startswith("/accounts/")
    ):
        return (
            ""
            if answer["Location"].startswith("/accounts/login/?next=")
            else f"{entry}: {answer['Location']}"
        )
    return ""


@pytest.mark.parametrize("person", matrix.PEOPLE)
def test_everybody_reads_what_the_table_says(world: World, person: str) -> None:
    wrong = [_check(world, entry, person) for entry in ENTRIES if entry.method == "GET"]
    assert list(filter(None, wrong)) == []


@pytest.mark.parametrize("person", matrix.PEOPLE)
@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.method != "GET"], ids=str)
def test_everybody_does_what_the_table_says(world: World, entry: Entry, person: str) -> None:
    assert _check(world, entry, person) == ""


@pytest.mark.parametrize("person", ["member", "staff"])
@pytest.mark.parametrize("entry", OPERATIONS, ids=str)
def test_a_token_opens_what_a_session_opens(world: World, entry: Entry, person: str) -> None:
    bearer = Client(headers={"Authorization": f"Bearer {world.tokens[person]}"})
    assert _ask(world, bearer, entry).status_code == getattr(entry, person)


@pytest.mark.parametrize("header", ["Bearer cb_wrong", "Bearer ", "Basic bWFyZW46eA==", "cb_staff"])
def test_credentials_that_are_none_open_nothing(world: World, header: str) -> None:
    stranger = Client(headers={"Authorization": header})
    assert [str(entry) for entry in OPERATIONS if _ask(world, stranger, entry).status_code != 401] == []


@pytest.mark.parametrize("person", matrix.PEOPLE)
@pytest.mark.parametrize("key", sorted(MODELS))
def test_the_admin_opens_for_curators_only(world: World, key: str, person: str) -> None:
    row = getattr(world, ROWS[MODELS[key]._meta.label])
    client, wrong = _client(world, person), []
    for route, of, sort in _admin_routes():
        if of != key:
            continue
        answer = client.get("/" + route.replace("<path:object_id>", str(row.pk)))
        if person == "staff":
            good = answer.status_code in ADMIN_PAGES[sort]
        else:
            good = answer.status_code == 302 and "/login/?next=" in answer["Location"]
        wrong += [] if good else [f"{route}: {answer.status_code}"]
    assert wrong == []


@pytest.mark.parametrize("person", matrix.PEOPLE)
def test_the_other_pages_of_the_admin_open_for_curators_only(world: World, person: str) -> None:
    client = _client(world, person)
    for path, status in ADMIN_SITE.values():
        if person == "staff":
            assert client.get(path).status_code == status, path
            continue
        answer = client.get(path, follow=True)
        assert answer.status_code in (200, 403, 405), path
        assert "nav-sidebar" not in answer.content.decode(), path
        if answer.status_code == 200:
            assert "/accounts/" in answer.redirect_chain[-1][0], path


@pytest.mark.parametrize("app", sorted({model._meta.app_label for model in admin.site._registry}))
def test_the_page_of_an_app_opens_for_curators_only(world: World, app: str) -> None:
    assert _client(world, "staff").get(f"/admin/{app}/").status_code == 200
    for person in ("anonymous", "member"):
        assert _client(world, person).get(f"/admin/{app}/").status_code == 302
