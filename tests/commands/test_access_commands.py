"""The commands for people, tokens, connections, keys and the audit chain."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from portal.access.models import Principal, Token, User
from portal.access.services import viewer_of_token
from portal.audit.models import AuditEvent
from portal.connections.models import Connection
from portal.core.crypto import Keyring
from tests.factories.audit import guards_off

pytestmark = pytest.mark.django_db


def answer(*arguments: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command(*arguments, "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def test_a_person_and_a_token_are_made_and_the_token_is_theirs() -> None:
    answer("user", "create", "ci", "--staff", "--email", "ci@example.org", "--ref", "user:default/ci")
    made = answer("token", "create", "--user", "ci", "--name", "pipeline", "--scope", "view")
    viewer = viewer_of_token(made["token"])
    assert viewer is not None
    assert (viewer.name, viewer.is_staff, viewer.scopes) == ("ci", True, frozenset({"view"}))
    assert Principal.objects.unrestricted("test").get(ref="user:default/ci").user == User.objects.get(
        username="ci"
    )
    assert made["token"] not in json.dumps(list(AuditEvent.objects.values("after", "object_name", "note")))


def test_a_revoked_token_is_nobody() -> None:
    answer("user", "create", "ci")
    made = answer("token", "create", "--user", "ci")
    assert answer("token", "list")["state"] == "active"
    assert answer("token", "revoke", made["prefix"])["state"] == "revoked"
    assert viewer_of_token(made["token"]) is None
    assert Token.objects.unrestricted("test").get().revoked_at is not None


def test_a_token_for_somebody_unknown_says_how_to_make_them() -> None:
    with pytest.raises(CommandError, match="user create"):
        answer("token", "create", "--user", "nobody")


def test_a_connection_is_added_changed_and_removed_by_name() -> None:
    answer("connection", "add", "forge", "--host", "git.example.org", "--kind", "gitea", "--prefix", "/acme/")
    answer(
        "connection",
        "add",
        "forge",
        "--host",
        "git.example.org",
        "--kind",
        "gitea",
        "--credential",
        "env:FORGE",
    )
    row = Connection.objects.unrestricted("test").get()
    assert (row.kind, row.allowed_prefixes, row.credential) == ("gitea", [], "env:FORGE")
    assert answer("connection", "list")["host"] == "git.example.org"
    answer("connection", "remove", "forge")
    with pytest.raises(CommandError, match="no connection named forge"):
        answer("connection", "check", "forge")


def test_new_keys_fit_the_settings() -> None:
    made = answer("keys", "new", "--id", "k1")
    assert Keyring.parse([made["key"]]).current_id == "k1"
    assert len(made["secret_key"]) >= 50


def test_the_audit_chain_holds_until_a_record_is_changed() -> None:
    answer("user", "create", "ci")
    assert answer("audit", "verify")["holding"] == 1
    with guards_off(), connection.cursor() as cursor:  # behind the model's back, as a tamperer would
        cursor.execute("UPDATE audit_auditevent SET actor = 'somebody else'")
    with pytest.raises(CommandError, match="record 1"):
        answer("audit", "verify")
