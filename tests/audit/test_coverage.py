"""Sign-ins, passwords, use of tokens and exports leave records; secrets are in none of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from portal.access.models import User
from portal.access.services import create_token, create_user, set_password, viewer_of_token
from portal.access.services.tokens import ADDRESSES_A_DAY
from portal.access.viewer import Viewer
from portal.audit.models import AuditEvent
from portal.core.context import address
from portal.events.services.subscriptions import create_subscription, rotate_secret
from tests.factories.world import make_world

pytestmark = pytest.mark.django_db
SYSTEM = Viewer.system("test")
PASSWORD, OTHER = "canary-Wood-lark-71", "canary-Rock-dove-88"


@pytest.fixture
def person() -> User:
    return create_user(actor=SYSTEM, username="maren", email="maren@acme.example", password=PASSWORD)


def _records(verb: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(verb=verb).order_by("id"))


def _everything() -> str:
    return json.dumps(list(AuditEvent.objects.values()), default=str)


def _sign_in(name: str, password: str) -> Client:
    browser = Client(REMOTE_ADDR="192.0.2.7")
    browser.post("/accounts/login/", {"login": name, "password": password})
    return browser


def test_signing_in_and_out_is_recorded_with_the_address(person: User) -> None:
    browser = _sign_in("maren", PASSWORD)
    browser.post("/accounts/logout/")
    for verb in ("access.user.signed_in", "access.user.signed_out"):
        [row] = _records(verb)
        assert (row.actor, row.object_id, row.address) == ("user:maren", str(person.pk), "192.0.2.7")
        assert row.request_id


@pytest.mark.parametrize("name", ["maren", "MAREN", "maren@acme.example"])
def test_a_failed_sign_in_names_whose_account_it_was(person: User, name: str) -> None:
    _sign_in(name, OTHER)
    [row] = _records("access.user.sign_in_failed")
    assert (row.actor, row.object_id, row.address) == ("anonymous", str(person.pk), "192.0.2.7")
    assert not _records("access.user.signed_in")


def test_a_password_typed_as_a_name_is_not_kept(person: User) -> None:
    _sign_in(PASSWORD, OTHER)
    [row] = _records("access.user.sign_in_failed")
    assert row.object_name == "somebody unknown" and "canary" not in _everything()


def test_a_person_who_changes_their_password_is_recorded(person: User) -> None:
    browser = _sign_in("maren", PASSWORD)
    data = {"oldpassword": PASSWORD, "password1": OTHER, "password2": OTHER}
    browser.post("/accounts/password/change/", data)
    person.refresh_from_db()
    assert person.check_password(OTHER)
    assert [row.actor for row in _records("access.user.password_changed")] == ["user:maren"]
    assert "canary" not in _everything()


# ---------------------------------------------------------------------------------------------------- use of tokens


@pytest.fixture
def from_address() -> Iterator[Any]:
    before = address.get()
    yield address.set
    address.set(before)


def test_the_use_of_a_token_is_recorded_once_a_day_and_address(person: User, from_address: Any) -> None:
    token, text = create_token(actor=SYSTEM, user=person, name="ci")
    for where in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"):
        from_address(where)
        assert viewer_of_token(text) is not None
    rows = _records("access.token.used")
    assert [row.address for row in rows] == ["192.0.2.1", "192.0.2.2"]
    assert {row.object_id for row in rows} == {str(token.pk)}
    assert {row.actor for row in rows} == {f"user:maren (token {token.prefix})"}


def test_the_next_day_it_is_recorded_again(person: User, monkeypatch: pytest.MonkeyPatch) -> None:
    _, text = create_token(actor=SYSTEM, user=person, name="ci")
    viewer_of_token(text)
    tomorrow = timezone.now() + timedelta(days=1)
    monkeypatch.setattr("portal.access.services.tokens.timezone.now", lambda: tomorrow)
    viewer_of_token(text)
    assert len(_records("access.token.used")) == 2


def test_a_client_of_many_addresses_does_not_fill_the_record(person: User, from_address: Any) -> None:
    _, text = create_token(actor=SYSTEM, user=person, name="ci")
    for number in range(ADDRESSES_A_DAY + 5):
        from_address(f"192.0.2.{number}")
        assert viewer_of_token(text) is not None
    assert len(_records("access.token.used")) == ADDRESSES_A_DAY


def test_a_token_that_is_none_leaves_no_record(person: User) -> None:
    assert viewer_of_token("cb_nothing") is None
    assert not _records("access.token.used")


@pytest.mark.django_db(transaction=True)
def test_an_address_that_comes_while_the_token_is_remembered_is_recorded_too(
    person: User, from_address: Any
) -> None:
    _, text = create_token(actor=SYSTEM, user=person, name="ci")
    for where in ("192.0.2.1", "192.0.2.2"):
        from_address(where)
        viewer_of_token(text)
    assert [row.address for row in _records("access.token.used")] == ["192.0.2.1", "192.0.2.2"]


# ---------------------------------------------------------------------------------------------------------- exports


@pytest.mark.parametrize(
    "model", ["audit.auditevent", "catalog.entity", "catalog.problem", "catalog.tagdefinition"]
)
def test_an_export_from_admin_is_recorded(model: str) -> None:
    world, browser = make_world(), Client()
    browser.force_login(world.staff)
    url = f"/admin/{model.replace('.', '/')}/export/"
    form = browser.get(url).context["form"]
    fields = {name: "on" for name, field in form.fields.items() if type(field).__name__ == "BooleanField"}
    answer = browser.post(f"{url}?q=shop", {"format": "0", "resource": "0", **fields})
    assert answer.status_code == 200 and answer.has_header("Content-Disposition")
    [row] = _records(f"{model}.exported")
    assert row.actor == f"user:{world.staff.username}"
    assert row.after == {"format": "csv", "question": "q=shop"}


# ---------------------------------------------------------------------------------------------------------- secrets


def test_no_secret_of_accounts_tokens_or_webhooks_is_in_a_record(person: User) -> None:
    set_password(actor=SYSTEM, user=person, password=OTHER)
    _, token = create_token(actor=SYSTEM, user=person, name="ci")
    viewer_of_token(token)
    hook, secret = create_subscription(
        actor=SYSTEM, name="told", url="https://told.acme.example/", types=["*"]
    )
    _, newer = rotate_secret(actor=SYSTEM, subscription=hook)
    everything = _everything()
    for canary in (PASSWORD, OTHER, token, secret, newer):
        assert canary not in everything
    assert {"access.user.password_set", "access.token.created", "events.subscription.secret-rotated"} <= {
        row.verb for row in AuditEvent.objects.all()
    }
