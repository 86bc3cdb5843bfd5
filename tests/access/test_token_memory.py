"""How long a token that ended may still be accepted: a second, and not at all by the process that ended it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from portal.access.models import Token, User
from portal.access.services import revoke_token, viewer_of_token
from portal.access.services import tokens as module
from portal.access.services.tokens import forget_tokens
from portal.access.viewer import Viewer
from tests.factories.access import TokenFactory, UserFactory

SYSTEM = Viewer.system("test")


class Clock:
    """Stands for ``time.monotonic``."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    forget_tokens()
    yield made
    forget_tokens()


@pytest.fixture
def token() -> Token:
    made: Token = TokenFactory(text="cb_some", user=UserFactory())
    viewer_of_token("cb_some")  # notes its use
    return made


@pytest.mark.django_db(transaction=True)
def test_a_token_is_looked_up_once_a_second(
    token: Token, clock: Clock, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        assert viewer_of_token("cb_some") is not None
    clock.now += 1.0
    with django_assert_num_queries(1):
        assert viewer_of_token("cb_some") is not None


@pytest.mark.django_db(transaction=True)
def test_the_process_that_revokes_a_token_refuses_it_at_once(token: Token) -> None:
    revoke_token(actor=SYSTEM, token=token)
    assert viewer_of_token("cb_some") is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", ["revoked elsewhere", "deleted", "person disabled"])
def test_other_processes_refuse_it_after_a_second(token: Token, clock: Clock, end: str) -> None:
    if end == "deleted":
        token.delete()
    elif end == "revoked elsewhere":
        Token.objects.filter(pk=token.pk).update(revoked_at=timezone.now())
    else:
        User.objects.filter(pk=token.user_id).update(is_active=False)
    clock.now += 1.0
    assert viewer_of_token("cb_some") is None


@pytest.mark.django_db(transaction=True)
def test_the_expiry_of_a_token_is_looked_at_each_time(token: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    soon = timezone.now() + timedelta(seconds=30)
    Token.objects.filter(pk=token.pk).update(expires_at=soon)
    forget_tokens()
    assert viewer_of_token("cb_some") is not None
    monkeypatch.setattr(module.timezone, "now", lambda: soon + timedelta(microseconds=1))
    assert viewer_of_token("cb_some") is None


@pytest.mark.django_db(transaction=True)
def test_unknown_tokens_are_not_remembered_and_many_tokens_do_not_pile_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 3)
    assert viewer_of_token("cb_nobody") is None
    for number in range(10):
        TokenFactory(text=f"cb_{number}", user=UserFactory())
        assert viewer_of_token(f"cb_{number}") is not None
        assert 1 <= len(module._remembered) <= 3


@pytest.mark.django_db
def test_nothing_is_remembered_inside_a_transaction() -> None:
    TokenFactory(text="cb_some", user=UserFactory())
    assert viewer_of_token("cb_some") is not None
    assert not module._remembered
