"""A refresh leads to a reading after it was asked for, once, and says what came of it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client

from catalog.ingest.collect import collect
from catalog.models import Source
from catalog.services import syncing
from catalog.services.refreshing import refresh_entity, refresh_source
from catalog.services.sources import request_sync
from portal.access.services import create_token
from portal.core.errors import ConflictError
from portal.jobs.models import Job
from portal.jobs.running import run_job
from tests.factories.access import StaffFactory
from tests.factories.sources import SYSTEM, Folder, component, document, entity

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.req("R019")]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(Path(settings.DATA_DIR) / tmp_path.name)
    made.write("a.yaml", component("shop", extra="description: before"))
    made.sync()
    return made


def queued() -> list[Job]:
    return list(Job.objects.unrestricted("test").filter(state=Job.State.QUEUED))


def described() -> str:
    text: str = document("component:default/shop")["metadata"]["description"]
    return text


def test_a_refresh_during_a_reading_leads_to_a_reading_after_it(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.source is not None
    has_read, may_go_on = threading.Event(), threading.Event()

    def slow(*args: Any, **kwargs: Any) -> Any:
        found = collect(*args, **kwargs)
        has_read.set()
        assert may_go_on.wait(20)
        return found

    monkeypatch.setattr(syncing, "collect", slow)
    folder.write("a.yaml", component("shop", extra="description: meanwhile"))
    running = request_sync(actor=SYSTEM, source=folder.source)
    later: list[Any] = []

    def do(job: Job) -> None:
        try:
            later.append(run_job(job.pk))
        finally:
            connections.close_all()

    first = threading.Thread(target=do, args=(running,))
    first.start()
    assert has_read.wait(20)
    # The reading that runs has seen the file as it was. Now it changes, and somebody asks for it.
    folder.write("a.yaml", component("shop", extra="description: after"))
    asked = refresh_source(actor=SYSTEM, source=folder.source)
    assert asked.pk != running.pk
    assert refresh_source(actor=SYSTEM, source=folder.source).pk == asked.pk, "impatient clicks are one job"
    second = threading.Thread(target=do, args=(asked,))
    second.start()  # another worker has it at once: it waits for its turn
    may_go_on.set()
    first.join(30)
    second.join(30)
    assert later == [Job.State.SUCCEEDED, Job.State.SUCCEEDED]
    assert described() == "after"
    done = Job.objects.unrestricted("test").get(pk=asked.pk)
    assert done.result is not None
    assert done.result["changed"] == 1


def test_an_entity_of_no_source_and_a_source_that_is_off_say_so(folder: Folder) -> None:
    assert folder.source is not None
    shop = entity("component:default/shop")
    Source.objects.filter(pk=folder.source.pk).update(enabled=False)
    folder.source.refresh_from_db()
    shop.source = folder.source
    with pytest.raises(ConflictError, match="switched off"):
        refresh_entity(actor=SYSTEM, entity=shop)
    shop.source = None
    with pytest.raises(ConflictError, match="No source declares"):
        refresh_entity(actor=SYSTEM, entity=shop)
    assert queued() == []


@pytest.fixture
def api() -> Client:
    """A client with the token of somebody who curates."""
    _, text = create_token(actor=SYSTEM, user=StaffFactory(username="maren"), name="test")
    return Client(headers={"Authorization": f"Bearer {text}"})


def test_our_refresh_answers_with_a_job_whose_outcome_can_be_asked_for(folder: Folder, api: Client) -> None:
    folder.write("a.yaml", component("shop", extra="description: after"))
    for body in ({"entityRef": "component:default/shop"}, {"source": "folder"}):
        answer = api.post("/api/catalog/v1/refresh", data=body, content_type="application/json")
        assert answer.status_code == 202
    (job,) = queued()
    assert answer.json()["job"] == str(job.pk)
    assert answer["Location"] == answer.json()["links"]["job"] == f"/api/jobs/v1/jobs/{job.pk}"
    run_job(job.pk)
    outcome = api.get(answer["Location"]).json()
    assert outcome["state"] == "succeeded"
    assert (outcome["result"]["changed"], outcome["result"]["added"]) == (1, 0)
    assert outcome["actor"].startswith("user:maren")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"entityRef": "component:default/shop", "source": "folder"}, 400),
        ({"source": 5}, 400),
        ({"where": "folder"}, 400),
        ({"entityRef": "component:default/nobody"}, 404),
        ({"source": "nobody"}, 404),
    ],
)
def test_our_refresh_says_what_is_wrong(
    folder: Folder, api: Client, body: dict[str, Any], status: int
) -> None:
    answer = api.post("/api/catalog/v1/refresh", data=body, content_type="application/json")
    assert answer.status_code == status
    assert answer.json()["error"]["code"]
    assert queued() == []


def test_the_refresh_of_stock_stays_empty_and_names_the_job_in_a_header(folder: Folder, api: Client) -> None:
    body = {"entityRef": "component:default/shop"}
    answer = api.post("/api/catalog/refresh", data=body, content_type="application/json")
    (job,) = queued()
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["Callboard-Job"] == f"/api/jobs/v1/jobs/{job.pk}"


def test_the_button_of_an_entity_leads_to_the_outcome(folder: Folder) -> None:
    browser = Client()
    browser.force_login(StaffFactory())
    page = "/catalog/default/component/shop/"
    assert f'action="{page}refresh/"' in browser.get(page).content.decode()
    one = browser.post(f"{page}refresh/")
    two = browser.post(f"{page}refresh/")
    assert one["Location"] == two["Location"], "a double click is one job"
    (job,) = queued()
    assert one["Location"] == f"{page}?job={job.pk}"
    assert "Read folder: Waiting for a worker." in browser.get(one["Location"]).content.decode()
    polled = browser.get(f"/jobs/{job.pk}/state/")
    assert "HX-Refresh" not in polled
    run_job(job.pk)
    assert browser.get(f"/jobs/{job.pk}/state/")["HX-Refresh"] == "true"
    shown = browser.get(one["Location"]).content.decode()
    assert "Read folder: nothing changed." in shown
    folder.write("a.yaml", component("shop", extra="description: after"))
    again = browser.post(f"{page}refresh/")
    run_job(queued()[0].pk)
    assert "Read folder: 1 changed." in browser.get(again["Location"]).content.decode()


def test_the_button_of_a_source_leads_to_the_outcome_also_when_it_cannot_be_read(folder: Folder) -> None:
    assert folder.source is not None
    browser = Client()
    browser.force_login(StaffFactory())
    page = f"/catalog/sources/{folder.source.pk}/"
    folder.remove("a.yaml")
    folder.path.rmdir()
    answer = browser.post(f"{page}sync/")
    run_job(queued()[0].pk)
    shown = browser.get(answer["Location"]).content.decode()
    assert "folder could not be read." in shown
    assert "What was read before is kept." in shown
    job = Job.objects.unrestricted("test").get(pk=answer["Location"].partition("?job=")[2])
    assert "Succeeded" not in browser.get(f"/jobs/{job.pk}/").content.decode()
