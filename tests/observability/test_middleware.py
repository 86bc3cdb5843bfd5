from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from prometheus_client import REGISTRY

from portal.core.context import request_id
from portal.observability import logs
from portal.observability.middleware import RequestMiddleware, forget_request

GIVEN = "3f1c9a52-77aa-4d2e-9c1b-0a5d9e1f2b3c"


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[dict[str, object]]]]:
    logs.configure({"format": "json", "level": "INFO"})
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    logs.configure(settings.LOGGING)


def request_to(path: str = "/catalog/", route: str | None = "catalog/", **given: object) -> HttpRequest:
    request = RequestFactory().get(path, **given)
    request.resolver_match = SimpleNamespace(route=route, kwargs={}) if route is not None else None
    return request


def answer(request: HttpRequest, view: Callable[[HttpRequest], HttpResponse] = lambda _: HttpResponse("x")):
    return RequestMiddleware(view)(request)


def test_a_well_formed_id_is_kept_and_given_back() -> None:
    seen = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request_id.get())
        return HttpResponse()

    assert answer(request_to(headers={"X-Request-Id": GIVEN}), view)["X-Request-Id"] == GIVEN
    assert seen == [GIVEN]
    assert request_id.get() == GIVEN, "Django still logs about an answer of 5xx after us"
    forget_request()
    assert request_id.get() == "", "nothing of the request stays in the thread"


def test_the_id_is_forgotten_once_the_answer_is_sent(client: Client, db) -> None:
    client.get("/health/live")
    assert request_id.get() == ""


@pytest.mark.parametrize(
    "given",
    [
        "",
        "short",
        "x" * 65,
        "has a space in it",
        "quote\"'quote",
        "line\r\nend-of-it",
        "-starts-wrong",
        "ümlaut-in-it",
    ],
)
def test_any_other_id_is_replaced(given: str) -> None:
    request = request_to()
    request.META["HTTP_X_REQUEST_ID"] = given
    made = answer(request)["X-Request-Id"]
    assert made != given
    assert len(made) == 32


def test_two_requests_get_two_ids() -> None:
    assert answer(request_to())["X-Request-Id"] != answer(request_to())["X-Request-Id"]


def test_the_line_of_a_request_says_what_and_how_long_but_not_the_query(lines) -> None:
    request = request_to(
        "/catalog/orders/?token=hunter22", "catalog/<name>/", headers={"X-Request-Id": GIVEN}
    )
    request.user = SimpleNamespace(pk=7, is_authenticated=True)
    answer(request, lambda _: HttpResponse(status=404))
    (line,) = lines()
    assert line.pop("ms") >= 0
    assert line.pop("time")
    assert line == {
        "event": "request",
        "level": "info",
        "logger": "portal.request",
        "request_id": GIVEN,
        "method": "GET",
        "path": "/catalog/orders/",
        "route": "catalog/<name>/",
        "status": 404,
        "user": "7",
    }


def test_the_key_of_a_password_reset_is_not_logged(lines) -> None:
    request = request_to(
        "/accounts/password/reset/key/3-hunter22/", "accounts/password/reset/key/<uid>-<key>/"
    )
    request.resolver_match.kwargs = {"uid": "3", "key": "hunter22"}
    answer(request)
    assert lines()[0]["path"] == "/accounts/password/reset/key/3-***/"


def test_probes_are_logged_only_when_they_fail(lines) -> None:
    answer(request_to("/health/ready", "health/ready"))
    assert lines() == []
    answer(request_to("/health/ready", "health/ready"), lambda _: HttpResponse(status=503))
    assert len(lines()) == 1


def test_looking_at_the_person_causes_no_query(lines, db, django_assert_num_queries) -> None:
    from django.contrib.auth.middleware import AuthenticationMiddleware
    from django.contrib.sessions.middleware import SessionMiddleware

    chain = SessionMiddleware(AuthenticationMiddleware(lambda _: HttpResponse()))
    request = request_to()
    request.COOKIES[settings.SESSION_COOKIE_NAME] = "x" * 32
    with django_assert_num_queries(0):
        answer(request, chain)
    assert "user" not in lines()[0]


def test_requests_are_counted_by_route_not_by_path() -> None:
    def counted(route: str) -> float:
        labels = {"route": route, "method": "GET", "status": "2xx"}
        return REGISTRY.get_sample_value("callboard_http_request_seconds_count", labels) or 0

    before = counted("catalog/<kind>/"), counted("unmatched")
    for number in range(3):
        answer(request_to(f"/catalog/{number}/", "catalog/<kind>/"))
        answer(request_to(f"/nothing/{number}", None))
    assert (counted("catalog/<kind>/"), counted("unmatched")) == (before[0] + 3, before[1] + 3)


def test_an_invented_method_is_no_label_of_its_own() -> None:
    request = request_to()
    request.method = "INVENTED"
    answer(request)
    labels = {"route": "catalog/", "method": "INVENTED", "status": "2xx"}
    assert REGISTRY.get_sample_value("callboard_http_request_seconds_count", labels) is None


def test_behind_a_proxy_the_address_is_the_one_the_proxy_saw(settings) -> None:
    def address(forwarded: str) -> str:
        seen: list[str] = []
        request = request_to(headers={"X-Forwarded-For": forwarded}) if forwarded else request_to()
        answer(request, lambda r: seen.append(r.META["REMOTE_ADDR"]) or HttpResponse())
        return seen[0]

    assert address("203.0.113.9") == "127.0.0.1", "without a proxy the header is anybody's claim"
    settings.CALLBOARD_BEHIND_PROXY = True
    assert address("6.6.6.6, 203.0.113.9") == "203.0.113.9"
    assert address("") == "127.0.0.1"


def test_it_serves_asynchronous_chains_and_keeps_requests_apart() -> None:
    async def view(request: HttpRequest) -> HttpResponse:
        before = request_id.get()
        await asyncio.sleep(0.01)
        assert request_id.get() == before
        return HttpResponse(before)

    async def both() -> list[HttpResponse]:
        chain = RequestMiddleware(view)
        return await asyncio.gather(*(chain(request_to()) for _ in range(20)))

    answers = asyncio.run(both())
    assert all(a.content.decode() == a["X-Request-Id"] for a in answers)
    assert len({a["X-Request-Id"] for a in answers}) == 20


@pytest.mark.slow
def test_it_costs_less_than_thirty_microseconds(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure({"format": "json", "level": "INFO"})
    try:
        response, request = HttpResponse("x"), request_to()
        chain = RequestMiddleware(lambda _: response)
        rounds = []
        for _ in range(15):
            started = time.thread_time()
            for _ in range(1000):
                chain(request)
            rounds.append((time.thread_time() - started) / 1000)
            capsys.readouterr()
        # The quartile rather than the mean: what else the machine does is not what is measured.
        assert statistics.quantiles(rounds, n=4)[0] < 30e-6
    finally:
        logs.configure(settings.LOGGING)
