"""Jobs for people and programs: who sees which, over REST and on the page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from portal.access.models import User
from portal.access.services import create_token, viewer_of_user
from portal.access.viewer import Viewer
from portal.jobs.models import Job
from portal.jobs.outcomes import Described, describe_jobs, job_view
from tests.factories.access import StaffFactory, UserFactory
from tests.factories.jobs import JobFactory, RunningJobFactory

pytestmark = pytest.mark.django_db
JOBS = "/api/jobs/v1/jobs"
OVER = {"state": Job.State.SUCCEEDED, "result": {"changed": 3}}


def client_of(user: User, *scopes: str) -> Client:
    _, text = create_token(actor=Viewer.system("test"), user=user, name="test", scopes=scopes)
    return Client(headers={"Authorization": f"Bearer {text}"})


@pytest.fixture
def maren(db: None) -> User:
    return UserFactory(username="maren")


@pytest.fixture
def staff(db: None) -> Client:
    return client_of(StaffFactory())


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [item["id"] for item in answer.json()["items"]]


def test_people_see_what_they_started_and_staff_sees_all(maren: User, staff: Client) -> None:
    own = JobFactory(actor="user:maren")
    by_token = JobFactory(actor="user:maren (token cb_abc)")
    others = [
        JobFactory(actor=actor) for actor in ("user:maren2", "user:marenka (token x)", "system:scheduler")
    ]
    assert set(ids(client_of(maren).get(JOBS))) == {str(own.pk), str(by_token.pk)}
    assert len(ids(staff.get(JOBS))) == 5
    for job in others:
        assert client_of(maren).get(f"{JOBS}/{job.pk}").status_code == 404
        assert staff.get(f"{JOBS}/{job.pk}").status_code == 200
    browser = Client()
    browser.force_login(maren)
    assert browser.get(f"/jobs/{own.pk}/").status_code == 200
    assert browser.get(f"/jobs/{others[0].pk}/").status_code == 404
    assert browser.get(f"/jobs/{others[0].pk}/state/").status_code == 404


def test_a_list_is_paged_without_losing_or_repeating_a_job(staff: Client) -> None:
    now = timezone.now()
    for number in range(7):  # some at the very same moment
        JobFactory(created_at=now - timedelta(seconds=number // 3))
    seen: list[str] = []
    cursor = ""
    while True:
        answer = staff.get(JOBS, {"limit": 2, **({"cursor": cursor} if cursor else {})})
        seen += ids(answer)
        cursor = answer.json()["pageInfo"].get("nextCursor", "")
        if not cursor:
            break
        JobFactory(created_at=now + timedelta(seconds=9))  # what comes meanwhile moves nothing
    assert len(seen) == len(set(seen)) == 7


def test_a_list_is_narrowed_by_kind_state_and_subject(staff: Client) -> None:
    one = JobFactory(kind="catalog.sync_source", subject="team-a")
    two = JobFactory(kind="catalog.sync_source", subject="team-b", finished_at=timezone.now(), **OVER)
    JobFactory(kind="tests.echo", subject="team-a")
    assert set(ids(staff.get(f"{JOBS}?kind=catalog.sync_source"))) == {str(one.pk), str(two.pk)}
    assert ids(staff.get(f"{JOBS}?kind=catalog.sync_source&subject=team-a")) == [str(one.pk)]
    assert ids(staff.get(f"{JOBS}?state=succeeded&state=failed")) == [str(two.pk)]


@pytest.mark.parametrize("query", ["state=over", "limit=0", "cursor=abc", "cursor=W10=", "who=me", "kind="])
def test_a_question_that_is_none_is_an_error(staff: Client, query: str) -> None:
    answer = staff.get(f"{JOBS}?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"]


def test_a_job_says_state_progress_result_and_error(staff: Client) -> None:
    running = RunningJobFactory(
        progress_done=3, progress_total=10, progress_text="files", payload={"key": "inner"}
    )
    body = staff.get(f"{JOBS}/{running.pk}").json()
    assert body["progress"] == {"done": 3, "total": 10, "text": "files"}
    assert "payload" not in body
    error = {"code": "git.not-found", "message": "No such repository.", "remedy": "Check the address."}
    failed = JobFactory(state=Job.State.FAILED, finished_at=timezone.now(), error=error)
    assert staff.get(f"{JOBS}/{failed.pk}").json()["error"] == error
    assert staff.get(f"{JOBS}/{failed.pk}").json()["links"]["page"] == f"/jobs/{failed.pk}/"


def test_a_job_is_cancelled_by_those_who_curate(maren: User, staff: Client) -> None:
    job = JobFactory(actor="user:maren")
    assert client_of(maren).post(f"{JOBS}/{job.pk}/cancel").status_code == 403
    assert client_of(StaffFactory(), "view").post(f"{JOBS}/{job.pk}/cancel").status_code == 403
    answer = staff.post(f"{JOBS}/{job.pk}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    assert staff.post(f"{JOBS}/{job.pk}/cancel").status_code == 409


def test_the_page_follows_a_job_and_cancels_it() -> None:
    browser = Client()
    browser.force_login(StaffFactory())
    job = RunningJobFactory(subject="team-a", progress_done=3, progress_total=10, progress_text="files")
    page = browser.get(f"/jobs/{job.pk}/").content.decode()
    assert f'hx-get="/jobs/{job.pk}/state/"' in page
    assert '<progress max="10" value="3"' in page
    assert "HX-Refresh" not in browser.get(f"/jobs/{job.pk}/state/")
    after = browser.post(f"/jobs/{job.pk}/cancel/", follow=True).content.decode()
    assert "Stops at its next step." in after
    assert "/cancel/" not in after
    Job.objects.filter(pk=job.pk).update(
        state=Job.State.FAILED, finished_at=timezone.now(), lease_until=None,
        error={"message": "It is away.", "remedy": "Look there."},
    )  # fmt: skip
    assert browser.get(f"/jobs/{job.pk}/state/")["HX-Refresh"] == "true"
    over = browser.get(f"/jobs/{job.pk}/").content.decode()
    assert "It is away." in over
    assert "Look there." in over
    assert "hx-trigger" not in over.split('id="job-state"')[1][:200]


def test_the_owner_of_a_kind_finds_the_words_for_it(maren: User) -> None:
    describe_jobs(
        "tests.described", lambda viewer, job: Described("Count berths", "warn", "Three are missing.")
    )
    job = JobFactory(kind="tests.described", finished_at=timezone.now(), **OVER)
    shown = job_view(viewer_of_user(maren), job)
    assert (shown.title, shown.level, shown.outcome) == ("Count berths", "warn", "Three are missing.")
    waiting = job_view(viewer_of_user(maren), JobFactory(kind="tests.described"))
    assert (waiting.level, waiting.outcome, waiting.is_over) == ("wait", "Waiting for a worker.", False)
