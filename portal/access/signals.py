"""What Django and allauth do with accounts past our services, brought to the audit record."""

from __future__ import annotations

from typing import Any

from allauth.account import signals as accounts
from django.contrib.auth import signals as auth
from django.http import HttpRequest

from portal.access.models import User
from portal.access.services.sign_ins import record_account_event, record_failed_sign_in


def _by_browser(request: HttpRequest | None) -> bool:
    """Whether a person's request is under way; code that makes a session itself (a shell, a test) has none."""
    return hasattr(request, "viewer")


def _signed_in(request: HttpRequest | None, user: User, **_: Any) -> None:
    if _by_browser(request):
        record_account_event(user=user, verb="signed_in")


def _signed_out(request: HttpRequest | None, user: User | None, **_: Any) -> None:
    if _by_browser(request) and user is not None:
        record_account_event(user=user, verb="signed_out")


def _failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    record_failed_sign_in(name=str(credentials.get("username") or credentials.get("email") or ""))


def _password_changed(user: User, **_: Any) -> None:
    record_account_event(user=user, verb="password_changed")


def _password_reset(user: User, **_: Any) -> None:
    record_account_event(user=user, verb="password_reset")


def _email_added(user: User, email_address: Any, **_: Any) -> None:
    record_account_event(user=user, verb="email_added", after={"email": email_address.email})


def _email_removed(user: User, email_address: Any, **_: Any) -> None:
    record_account_event(user=user, verb="email_removed", after={"email": email_address.email})


def _email_changed(user: User, to_email_address: Any, **_: Any) -> None:
    record_account_event(user=user, verb="email_changed", after={"email": to_email_address.email})


RECEIVERS = (
    (auth.user_logged_in, _signed_in),
    (auth.user_logged_out, _signed_out),
    (auth.user_login_failed, _failed),
    (accounts.password_changed, _password_changed),
    (accounts.password_set, _password_changed),
    (accounts.password_reset, _password_reset),
    (accounts.email_added, _email_added),
    (accounts.email_removed, _email_removed),
    (accounts.email_changed, _email_changed),
)


def connect() -> None:
    """Listen; doing it again changes nothing."""
    for signal, receiver in RECEIVERS:
        signal.connect(receiver, dispatch_uid=f"access.{receiver.__name__}")
