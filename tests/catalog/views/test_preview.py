"""The page that says what a descriptor or a place would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.factories.access import StaffFactory, UserFactory
from tests.factories.sources import Folder, component, exists

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.req("R031")]

ADDRESS = "/catalog/preview/"


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    folder = Folder(tmp_path / "one", "one")
    folder.write("a.yaml", component("shop"))
    folder.write("b.yaml", component("till"))
    folder.sync()
    return folder


@pytest.fixture
def curator(client: Client) -> Client:
    client.force_login(StaffFactory())
    return client


def said(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_a_pasted_descriptor_stands_for_itself(curator: Client) -> None:
    answer = curator.post(ADDRESS, {"text": component("new", extra="title: The new one")})

    assert answer.status_code == 200
    assert "Would appear" in said(answer)
    assert "component:default/new" in said(answer)
    assert "owner: platform" in said(answer)  # its document
    assert not exists("component:default/new")


def test_a_pasted_descriptor_may_stand_for_a_file_of_a_source(curator: Client, folder: Folder) -> None:
    text = component("shop", extra="title: <b>The shop</b>")

    answer = curator.post(ADDRESS, {"source": "one", "path": "a.yaml", "text": text})

    page = said(answer)
    assert "Would change" in page
    assert "metadata.title: <ins>&quot;&lt;b&gt;The shop&lt;/b&gt;&quot;</ins>" in page
    assert "Would go" not in page  # the other files stay as they are


def test_a_conflict_leads_to_the_question_that_was_meant(curator: Client, folder: Folder) -> None:
    answer = curator.post(ADDRESS, {"text": component("shop", "team-b")})

    page = said(answer)
    assert "It stays with <strong>one</strong>" in page
    path = f"{folder.path}/a.yaml"
    assert f"?source=one&amp;path={path.replace('/', '%2F')}" in page
    again = said(curator.post(ADDRESS, {"source": "one", "path": path, "text": component("shop", "team-b")}))
    assert "Conflicts" not in again
    assert "spec.owner" in again


def test_a_source_is_looked_at_as_it_is_now(curator: Client, folder: Folder) -> None:
    folder.write("b.yaml", component("other"))

    page = said(curator.post(ADDRESS, {"source": "one"}))

    assert "component:default/other" in page
    assert "component:default/till" in page


def test_problems_are_shown_with_the_line_that_would_be_right(curator: Client) -> None:
    page = said(curator.post(ADDRESS, {"text": component("new", extra="tags: [Java]")}))

    assert "catalog.format.tag" in page
    assert "Something would not be taken in" in page
    assert "<del>" in page


def test_a_question_that_cannot_be_asked_says_why(curator: Client) -> None:
    answer = curator.post(ADDRESS, {})
    assert answer.status_code == 400
    assert "There is nothing to look at" in said(answer)
    assert curator.post(ADDRESS, {"source": "nobody"}).status_code == 404
    assert curator.post(ADDRESS, {"text": "x", "path": "../up.yaml"}).status_code == 400
    assert curator.post(ADDRESS, {"target": "/etc"}).status_code == 400


def test_the_form_comes_back_filled_in(curator: Client, folder: Folder) -> None:
    page = said(curator.get(ADDRESS, {"source": "one", "path": "a.yaml"}))

    assert "<option selected>one</option>" in page
    assert 'value="a.yaml"' in page


def test_members_are_told_that_it_is_not_for_them(client: Client) -> None:
    client.force_login(UserFactory())

    answer = client.get(ADDRESS)

    assert answer.status_code == 403
    assert "people who may register sources" in said(answer)


def test_the_page_costs_few_statements(curator: Client, folder: Folder) -> None:
    curator.get(ADDRESS)
    with CaptureQueriesContext(
        connection,
    ) as statements:
        curator.get(ADDRESS)
    assert len(statements) <= 12
