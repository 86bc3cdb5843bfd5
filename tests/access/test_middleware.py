"""The viewer on the request, the guard around it, and sign-in for everything, behind WSGI and behind ASGI."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path

from portal.access.models import Principal
from portal.audit.models import AuditEvent
from portal.audit.services import record
from portal.core.context import address
from portal.core.querysets import UnscopedReadError
from tests.factories.access import PrincipalFactory, UserFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls(__name__)]


def careless(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(Principal.objects.count()))


def careful(request: HttpRequest) -> HttpResponse:
    viewer = request.viewer  # type: ignore[attr-defined]  # set by AccessMiddleware
    return HttpResponse(f"{viewer.actor} {Principal.objects.visible_to(viewer).count()}")


@login_not_required
def open_to_all(request: HttpRequest) -> HttpResponse:
    viewer = request.viewer  # type: ignore[attr-defined]  # set by AccessMiddleware
    return HttpResponse(f"{viewer.actor} {Principal.objects.visible_to(viewer).count()}")


async def careless_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(await Principal.objects.acount()))


def recording(request: HttpRequest) -> HttpResponse:
    record(actor="test", verb="tests.recorded")
    return HttpResponse(address.get())


urlpatterns = [
    path("careless/", careless),
    path("careful/", careful),
    path("open/", open_to_all),
    path("async/", careless_async),
    path("recording/", recording),
    path("accounts/", include("allauth.urls")),
]


@pytest.fixture
def person() -> Any:
    PrincipalFactory()
    return UserFactory(username="maren")


def _browser(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_a_page_that_forgets_to_say_for_whom_breaks_instead_of_leaking(person: Any) -> None:
    with pytest.raises(UnscopedReadError):
        _browser(person).get("/careless/")
    with pytest.raises(UnscopedReadError):
        _browser(person).get("/async/")


def test_a_page_that_says_for_whom_works(person: Any) -> None:
    assert _browser(person).get("/careful/").content == b"user:maren 1"


def test_the_guard_stays_up_behind_asgi(person: Any) -> None:
    async def ask() -> None:
        client = AsyncClient()
        await client.aforce_login(person)
        with pytest.raises(UnscopedReadError):
            await client.get("/careless/")
        with pytest.raises(UnscopedReadError):
            await client.get("/async/")
        answer = await client.get("/careful/")
        assert answer.content == b"user:maren 1"

    async_to_sync(ask)()


def test_every_page_asks_for_sign_in_unless_it_says_otherwise(person: Any) -> None:
    answer = Client().get("/careful/?tab=1")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/?next=/careful/%3Ftab%3D1")
    assert Client().get("/open/").content == b"anonymous 0"


def test_a_person_who_was_deactivated_is_nobody_at_the_next_request(person: Any) -> None:
    browser = _browser(person)
    type(person).objects.filter(pk=person.pk).update(is_active=False)
    assert browser.get("/careful/").status_code == 302


def test_records_name_the_address_that_the_request_came_from(person: Any) -> None:
    answer = _browser(person).get("/recording/", REMOTE_ADDR="192.0.2.9")
    assert answer.content == b"192.0.2.9"
    assert AuditEvent.objects.get().address == "192.0.2.9"
    assert address.get() == ""
