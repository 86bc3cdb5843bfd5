"""A POST that names a key does its work once, however often and however fast it is sent."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rest_framework.request import Request

from portal.access.api.idempotency import idempotent
from portal.access.api.renderers import json_response
from portal.access.api.views import OwnView
from portal.access.models import IdempotentAnswer, Principal
from portal.access.services.idempotency import KeptAnswer, begin_request, keep_answer
from portal.access.viewer import Viewer
from portal.core.errors import ConflictError, InputError
from tests.factories.access import StaffFactory, TokenFactory
from tests.services.examples import examples

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = IdempotentAnswer.objects.unrestricted("test")


class Making(OwnView):
    """Makes a row for each call; fails where it is told to."""

    started = threading.Event()
    go_on = threading.Event()
    schema = None

    @idempotent
    def post(self, request: Request) -> HttpResponse:
        name = request.data["name"]
        made = Principal.objects.create(
            kind="user", ref=f"{name}-{Principal.objects.unrestricted('t').count()}", source="test"
        )
        if request.data.get("fail"):
            raise InputError("no")
        if request.data.get("wait"):
            self.started.set()
            assert self.go_on.wait(20)
        response = json_response({"ref": made.ref}, status=201)
        response["Location"] = f"/made/{made.ref}"
        return response


@pytest.fixture
def token() -> str:
    TokenFactory(text="cb_maker", user=StaffFactory(username="maker"))
    return "cb_maker"


def send(key: str, token: str = "cb_maker", **body: Any) -> HttpResponse:
    headers = {"Authorization": f"Bearer {token}", **({"Idempotency-Key": key} if key else {})}
    request = RequestFactory().post("/made", body, content_type="application/json", headers=headers)
    response: HttpResponse = Making.as_view()(request)
    return response


def made() -> int:
    return int(Principal.objects.unrestricted("test").filter(source="test").count())


def test_the_same_again_gets_the_first_answer_and_does_nothing(token: str) -> None:
    first, again = send("k1", name="a"), send("k1", name="a")
    assert (again.status_code, again.content, again["Location"]) == (201, first.content, first["Location"])
    assert again["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert made() == 1


def test_without_a_key_each_request_counts(token: str) -> None:
    send("", name="a")
    send("", name="a")
    assert made() == 2
    assert not ROWS.exists()


def test_another_body_under_the_same_key_is_refused(token: str) -> None:
    send("k1", name="a")
    assert send("k1", name="b").status_code == 422
    assert made() == 1


def test_keys_belong_to_whoever_sends_them(token: str) -> None:
    TokenFactory(text="cb_other", user=StaffFactory(username="other"))
    send("k1", name="a")
    assert send("k1", "cb_other", name="b").status_code == 201
    assert made() == 2


def test_an_error_writes_nothing_and_frees_the_key(token: str) -> None:
    assert send("k1", name="a", fail=True).status_code == 400
    assert made() == 0
    assert not ROWS.exists()
    assert send("k1", name="a").status_code == 201


@pytest.mark.parametrize("key", ["x" * 201, "ä", "a\tb"])
def test_a_key_that_is_none_is_refused(token: str, key: str) -> None:
    with pytest.raises(InputError):
        begin_request(actor=Viewer(actor="user:x", user_id=1), key=key, digest="d")


def test_keys_are_forgotten_after_their_time(token: str) -> None:
    send("k1", name="a")
    ROWS.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert send("k1", name="b").status_code == 201
    assert made() == 2


def test_a_request_that_died_is_done_by_the_next_one_and_cannot_end_late(token: str) -> None:
    actor = Viewer(actor="user:maker (token cb_maker)", user_id=1)
    dead = begin_request(actor=actor, key="k1", digest="d")
    with pytest.raises(ConflictError):
        begin_request(actor=actor, key="k1", digest="d")
    ROWS.update(lease_until=timezone.now() - timedelta(seconds=1))
    alive = begin_request(actor=actor, key="k1", digest="d")
    assert type(alive) is type(dead)
    with pytest.raises(ConflictError):
        keep_answer(claim=dead, answer=KeptAnswer(201, ""))
    assert ROWS.get().status is None


@pytest.mark.database("postgresql")
def test_a_second_one_while_the_first_is_under_way_is_told_so(token: str) -> None:
    Making.started.clear()
    Making.go_on.clear()
    answers: list[HttpResponse] = []

    def first() -> None:
        try:
            answers.append(send("k1", name="a", wait=True))
        finally:
            connections.close_all()

    thread = threading.Thread(target=first)
    thread.start()
    assert Making.started.wait(20)
    second = send("k1", name="a", wait=True)
    Making.go_on.set()
    thread.join(20)
    assert (answers[0].status_code, second.status_code) == (201, 409)
    assert made() == 1


@hypothesis_settings(
    max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sent=st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), min_size=2, max_size=6))
def test_however_requests_race_each_key_makes_one_row(token: str, sent: list[tuple[str, bool]]) -> None:
    ROWS.delete()
    Principal.objects.unrestricted("test").filter(source="test").delete()
    statuses: Counter[tuple[str, int]] = Counter()
    barrier, lock = threading.Barrier(len(sent)), threading.Lock()

    def one(key: str, fail: bool) -> None:
        try:
            barrier.wait(20)
            for _ in range(50):
                status = send(key, name=key, **({"fail": True} if fail else {})).status_code
                if status != 409:
                    break
            with lock:
                statuses[key, status] += 1
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one, args=each) for each in sent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    good = {key for key, _ in statuses if statuses[key, 201]}
    assert made() == len(good)
    assert {status for _, status in statuses} <= {201, 400, 409, 422}
