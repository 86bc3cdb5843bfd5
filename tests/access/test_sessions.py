"""Where people are signed in: listed, ended by themselves or an administrator, and gone with the person."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.models import Session
from django.test import AsyncClient, Client

from portal.access.browsers import browser_words
from portal.access.models import BrowserSession, Token, User
from portal.access.services import end_session, update_user, viewer_of_token, viewer_of_user
from portal.access.services import sessions as services
from portal.access.viewer import Viewer
from portal.audit.models import AuditEvent
from portal.core.errors import NotAllowedError
from tests.factories.access import StaffFactory, TokenFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.req("R127")]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1"
PASSWORD = "a long enough one"


@pytest.fixture
def person() -> User:
    user = UserFactory(username="maren")
    user.set_password(PASSWORD)
    user.save()
    return user


def _browser(agent: str = FIREFOX, address: str = "192.0.2.7") -> Client:
    client = Client(headers={"User-Agent": agent}, REMOTE_ADDR=address)
    signed = client.post("/accounts/login/", {"login": "maren", "password": PASSWORD})
    assert signed.status_code == 302
    return client


def _row(client: Client) -> BrowserSession:
    return BrowserSession.objects.get(session_id=client.session.session_key)


def test_the_page_lists_every_browser_and_marks_this_one(person: User) -> None:
    here = _browser()
    _browser(PHONE, "198.51.100.4")
    page = here.get("/account/").content.decode()
    assert "Firefox on Linux" in page and "Safari on iPhone" in page
    assert "192.0.2.7" in page and "198.51.100.4" in page
    assert page.count("This one") == 1
    assert page.index("This one") < page.index("Safari on iPhone")


def test_the_page_never_contains_the_secret_of_a_session(person: User) -> None:
    here, other = _browser(), _browser(PHONE)
    page = here.get("/account/").content.decode()
    assert here.session.session_key not in page and other.session.session_key not in page


def test_one_session_ends_and_the_others_go_on(person: User) -> None:
    here, lost, third = _browser(), _browser(PHONE), _browser(PHONE)
    assert here.post(f"/account/sessions/{_row(lost).pk}/end/").status_code == 302
    assert lost.get("/account/").status_code == 302
    assert here.get("/account/").status_code == third.get("/account/").status_code == 200
    assert AuditEvent.objects.get(verb="access.session.ended").after == {"user": "maren", "sessions": 1}


def test_all_others_end_and_this_one_goes_on(person: User) -> None:
    here, second, third = _browser(), _browser(PHONE), _browser()
    assert here.post("/account/sessions/end-others/").status_code == 302
    assert here.get("/account/").status_code == 200
    assert second.get("/account/").status_code == third.get("/account/").status_code == 302


def test_a_session_of_somebody_else_is_not_there(person: User) -> None:
    theirs = _row(_browser())
    stranger = Client()
    stranger.force_login(UserFactory())
    assert stranger.post(f"/account/sessions/{theirs.pk}/end/").status_code == 404
    assert stranger.post("/account/sessions/end-others/").status_code == 302
    assert BrowserSession.objects.filter(pk=theirs.pk).exists()
    with pytest.raises(NotAllowedError):
        end_session(actor=Viewer(actor="user:x", user_id=person.pk + 1), session=theirs)


def test_an_administrator_does_not_see_others_on_their_own_page(person: User) -> None:
    _browser(PHONE, "198.51.100.4")
    admin = Client()
    admin.force_login(StaffFactory())
    assert "198.51.100.4" not in admin.get("/account/").content.decode()


def test_an_administrator_ends_one_session_of_a_person(person: User) -> None:
    lost, other = _browser(PHONE), _browser()
    admin = Client()
    admin.force_login(StaffFactory())
    address = f"/admin/access/user/{person.pk}/change/"
    page = admin.get(address).content.decode()
    assert "Safari on iPhone" in page and lost.session.session_key not in page
    own = f"/admin/access/browsersession/{_row(lost).pk}/"
    assert f"{own}change/" in page
    assert lost.session.session_key not in admin.get(f"{own}change/").content.decode()
    assert admin.post(f"{own}sign-out/", {"_form_submitted": "True"})["Location"] == address
    assert lost.get("/account/").status_code == 302
    assert other.get("/account/").status_code == 200


def test_an_administrator_signs_a_person_out_everywhere(person: User) -> None:
    one, two = _browser(), _browser(PHONE)
    admin = Client()
    admin.force_login(StaffFactory())
    admin.post(f"/admin/access/user/{person.pk}/sign-out/", {"_form_submitted": "True"})
    assert one.get("/account/").status_code == two.get("/account/").status_code == 302


def test_disabling_a_person_ends_sessions_and_tokens_for_good(person: User) -> None:
    browser, token = _browser(), TokenFactory(user=person, text="cb_maren")
    key = browser.session.session_key
    assert viewer_of_token("cb_maren") is not None
    update_user(actor=viewer_of_user(StaffFactory()), user=person, changes={"is_active": False})
    assert browser.get("/account/").status_code == 302
    assert viewer_of_token("cb_maren") is None
    assert not Session.objects.filter(pk=key).exists()
    update_user(actor=viewer_of_user(StaffFactory()), user=person, changes={"is_active": True})
    assert Token.objects.get(pk=token.pk).revoked_at is not None
    assert viewer_of_token("cb_maren") is None


def test_a_new_password_ends_the_other_sessions(person: User) -> None:
    here, lost = _browser(), _browser(PHONE)
    new = {"oldpassword": PASSWORD, "password1": "another long one", "password2": "another long one"}
    assert here.post("/accounts/password/change/", new).status_code == 302
    assert here.get("/account/").status_code == 200
    assert lost.get("/account/").status_code == 302
    assert BrowserSession.objects.filter(user=person).count() == 1


def test_last_seen_moves_but_not_with_every_request(person: User, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = _browser()
    before = _row(browser)
    browser.get("/account/", REMOTE_ADDR="198.51.100.9")
    assert _row(browser).seen_at == before.seen_at
    monkeypatch.setattr(services, "_noted", {})  # as another process, or later
    browser.get("/account/", REMOTE_ADDR="198.51.100.9")
    after = _row(browser)
    assert (after.address, after.created_at) == ("198.51.100.9", before.created_at)
    assert after.seen_at > before.seen_at


def test_signing_out_takes_the_session_off_the_list(person: User) -> None:
    browser = _browser()
    browser.post("/accounts/logout/")
    assert not BrowserSession.objects.filter(user=person).exists()


@pytest.mark.django_db(transaction=True)
def test_an_ended_session_is_nobody_behind_asgi(person: User) -> None:
    async def ask() -> tuple[int, int]:
        client = AsyncClient()
        await client.aforce_login(person)
        first = await client.get("/account/")
        await Session.objects.all().adelete()
        return first.status_code, (await client.get("/account/")).status_code

    assert async_to_sync(ask)() == (200, 302)


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (PHONE, "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("", "A browser"),
        ("curl/8", "A browser"),
    ],
)
def test_a_browser_is_named_in_words(agent: str, words: str) -> None:
    assert browser_words(agent) == words
