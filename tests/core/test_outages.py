"""A database, a disk or a Redis that fails is said in words, is nobody's defect, and costs no try of a job."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.db import InterfaceError, OperationalError, connection
from django.test import Client

from portal.access.viewer import Viewer
from portal.core.errors import ServiceUnavailableError
from portal.core.outages import outage_of
from portal.jobs import doorbell
from portal.jobs.models import Job
from portal.jobs.registry import job_handler
from portal.jobs.running import run_job
from portal.jobs.services import enqueue

MAREN = Viewer(actor="user:maren", user_id=1)


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def stated(state: str | None) -> psycopg.OperationalError:
    error = psycopg.OperationalError("the server said something")
    error.sqlstate = state
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "storage.full"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "storage.full"),
        (OperationalError("database or disk is full"), "storage.full"),
        (OperationalError("disk I/O error"), "storage.full"),
        (OperationalError("database is locked"), "database.busy"),
        (caused(OperationalError("gone"), stated(None)), "database.away"),
        (caused(OperationalError("gone"), stated("57P01")), "database.away"),
        (caused(OperationalError("deadlock detected"), stated("40P01")), "database.busy"),
        (caused(InterfaceError("closed"), psycopg.InterfaceError("closed")), "database.away"),
        (caused(OperationalError("full"), stated("53100")), "database.away"),
        (redis.ConnectionError("refused"), "cache.away"),
        (caused(ValueError("wrapped"), OSError(errno.ENOSPC, "No space")), "storage.full"),
    ],
)
def test_what_fails_below_us_is_named_with_a_remedy(error: Exception, code: str) -> None:
    found = outage_of(error)
    assert found is not None and (found.code, found.status) == (code, 503)
    assert found.remedy


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOENT, "No such file"),
        OperationalError("no such table: catalog_entity"),
        caused(OperationalError("cancelled by the statement's time limit"), stated("57014")),
        ValueError("a defect"),
    ],
)
def test_a_defect_is_no_outage(error: Exception) -> None:
    assert outage_of(error) is None


def test_a_defect_while_an_outage_is_handled_stays_a_defect() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            {}["a defect"]
    except KeyError as error:
        assert outage_of(error) is None


def test_sqlite_says_of_a_full_disk_what_we_look_for(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "small") as small:
        small.execute("CREATE TABLE t (x)")
        small.execute("PRAGMA max_page_count = 3")
        with pytest.raises(sqlite3.OperationalError) as caught:
            small.execute("INSERT INTO t VALUES (zeroblob(100000))")
    assert outage_of(OperationalError(*caught.value.args)) is not None


@pytest.mark.django_db
def test_a_page_and_an_answer_say_that_it_is_not_now_and_when_to_ask_again() -> None:
    def full(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("database or disk is full")

    client = Client(raise_request_exception=False)
    with connection.execute_wrapper(full):
        page = client.post("/accounts/login/", {"login": "maren", "password": "secret"})
        answer = client.get("/api/catalog/entities", headers={"Authorization": "Bearer cb_x_y"})
        client.cookies["callboard_session"] = "x" * 32
        asked = client.get("/catalog/?q=%22%3E%3Cscript%3E").content.decode()
    assert 'href="/catalog/?q=%22%3E%3Cscript%3E">Try again</a>' in asked, (
        "what was asked for, written as it was sent"
    )
    assert "Try again</a>" not in page.content.decode(), "a form is not sent again by a link"
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert "no room" in page.content.decode() and "Not just now" in page.content.decode()
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    error = answer.json()["error"]
    assert (error["name"], error["code"]) == ("ServiceUnavailableError", "storage.full")
    assert error["remedy"]


@job_handler("tests.full", tries=2, retry_seconds=3)
def _full(context: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.django_db(transaction=True)
def test_an_outage_is_no_try_of_a_job_however_long_it_lasts() -> None:
    job = enqueue(actor=MAREN, kind="tests.full")
    for _ in range(4):
        Job.objects.filter(pk=job.pk).update(run_after=job.created_at)
        assert run_job(job.pk) == Job.State.QUEUED
    job.refresh_from_db()
    assert job.attempts == 0 and job.fence == 4
    assert job.error is not None and job.error["code"] == "storage.full"
    assert 2 < (job.run_after - job.created_at).total_seconds() < 600


@pytest.mark.django_db(transaction=True)
def test_a_bell_that_cannot_be_noted_does_not_make_a_write_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def rung(job_id: Any) -> bool:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(doorbell, "ring", rung)
    job = enqueue(actor=MAREN, kind="tests.full")
    assert Job.objects.unrestricted("test").get(pk=job.pk).rung_at is None


def test_a_service_that_says_so_itself_is_kept() -> None:
    error = ServiceUnavailableError("The host rests.", code="host.resting")
    assert outage_of(error) is error
