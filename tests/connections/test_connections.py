"""Writing connections, finding the one for an address, and the breaker."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection as database
from django.utils import timezone

from portal.access.viewer import ANONYMOUS, Viewer
from portal.audit.models import AuditEvent
from portal.connections.models import Connection
from portal.connections.selectors import connection_for, host_configs, is_open
from portal.connections.services import (
    check_connection,
    delete_connection,
    let_through,
    note_failure,
    note_success,
    save_connection,
)
from portal.core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from tests.factories.connections import ConnectionFactory
from tests.services.http_server import Reply, Seen, serving

pytestmark = pytest.mark.django_db
ADMIN = Viewer(actor="user:admin", user_id=1, is_staff=True)


def test_a_saved_connection_is_tidied_and_audited() -> None:
    made = save_connection(
        actor=ADMIN,
        name="work",
        kind="gitlab",
        host="GitLab.Acme.example:443",
        allowed_prefixes=["acme/", "/acme/deep", "/labs"],
        purposes=["trigger", "read"],
        credential="env:GITLAB_TOKEN",
    )
    made.refresh_from_db()
    assert (made.host, made.allowed_prefixes, made.purposes) == (
        "gitlab.acme.example",
        ["/acme", "/labs"],
        ["read", "trigger"],
    )
    save_connection(actor=ADMIN, connection=made, credential="file:gitlab")
    save_connection(
        actor=ADMIN, connection=made, credential="file:gitlab"
    )  # nothing changes, nothing to record
    delete_connection(actor=ADMIN, connection=made)
    written = list(
        AuditEvent.objects.order_by("id").values_list(
            "actor", "verb", "before__credential", "after__credential"
        )
    )
    assert written == [
        ("user:admin", "connections.connection.created", None, "env:GITLAB_TOKEN"),
        ("user:admin", "connections.connection.changed", "env:GITLAB_TOKEN", "file:gitlab"),
        ("user:admin", "connections.connection.deleted", "file:gitlab", None),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", "https://github.com"),
        ("host", "git host"),
        ("host", "github.com:0"),
        ("host", "github.com:x"),
        ("host", ""),
        ("base_url", "javascript:alert(1)"),
        ("base_url", "https://user:secret@github.com"),
        ("api_url", "ftp://github.com"),
        ("allowed_prefixes", "/acme"),
        ("allowed_prefixes", ["/acme/../other"]),
        ("allowed_prefixes", ["/"]),
        ("allowed_prefixes", ["/a%2fb"]),
        ("allowed_prefixes", ["https://github.com/acme"]),
        ("allowed_prefixes", [5]),
        ("purposes", ["write"]),
        ("purposes", "read"),
        ("credential", "ghp_1234567890"),
        ("credential", "env:CALLBOARD_SECRET_KEY"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_field(field: str, value: Any) -> None:
    with pytest.raises(InputError) as refused:
        save_connection(actor=ADMIN, **{"name": "work", "host": "github.com", field: value})
    assert refused.value.details["field"] == field
    assert refused.value.remedy
    assert "ghp_" not in refused.value.message
    assert not Connection.objects.exists() and not AuditEvent.objects.exists()


def test_unknown_fields_missing_names_taken_names_and_gone_rows_are_refused() -> None:
    with pytest.raises(InputError, match="has no secret"):
        save_connection(actor=ADMIN, name="work", host="github.com", secret="x")
    with pytest.raises(InputError, match="needs a name and a host"):
        save_connection(actor=ADMIN, name="work")
    row = save_connection(actor=ADMIN, name="work", host="github.com")
    with pytest.raises(ConflictError, match="already a connection named work"):
        save_connection(actor=ADMIN, name="work", host="gitlab.com")
    delete_connection(actor=ADMIN, connection=row)
    row.pk = 4711
    with pytest.raises(NotFoundError):
        save_connection(actor=ADMIN, connection=row, host="gitlab.com")
    with pytest.raises(NotFoundError):
        delete_connection(actor=ADMIN, connection=row)


def test_connections_are_for_curators_only() -> None:
    ConnectionFactory()
    assert Connection.objects.visible_to(ADMIN).count() == 1
    assert Connection.objects.visible_to(Viewer(actor="user:member", user_id=2)).count() == 0
    assert Connection.objects.visible_to(ANONYMOUS).count() == 0


def test_the_longest_fitting_prefix_decides() -> None:
    ConnectionFactory(name="all", host="github.com")
    ConnectionFactory(name="acme", host="github.com", allowed_prefixes=["/acme"])
    ConnectionFactory(name="deep", host="github.com", allowed_prefixes=["/other", "/acme/secret"])
    ConnectionFactory(name="off", host="github.com", allowed_prefixes=["/acme/secret/x"], enabled=False)
    found = {
        url: connection_for(url).name  # type: ignore[union-attr]  # one fits each
        for url in (
            "https://github.com/elsewhere/repo",
            "https://github.com/acme/repo/blob/main/catalog-info.yaml",
            "https://github.com/Acme/Secret/blob/main/x.yaml",
            "git@github.com:acme/secret/x.git",
            "https://github.com/acme-labs/repo",
        )
    }
    assert list(found.values()) == ["all", "acme", "deep", "deep", "all"]


def test_an_address_outside_of_every_prefix_is_refused_and_another_host_is_free() -> None:
    ConnectionFactory(name="acme", host="github.com", allowed_prefixes=["/acme"])
    with pytest.raises(NotAllowedError) as refused:
        connection_for("https://github.com/other/repo")
    assert refused.value.code == "connections.prefix" and "acme" in refused.value.remedy
    with pytest.raises(NotAllowedError):
        connection_for("https://github.com/acme%2f..%2fother")
    assert connection_for("https://gitlab.com/other/repo") is None
    assert connection_for("https://github.com:8443/acme") is None


def test_a_connection_serves_its_purposes_only_and_reading_where_it_names_none() -> None:
    ConnectionFactory(name="reader", host="github.com", purposes=[])
    ConnectionFactory(name="writer", host="github.com", purposes=["publish"])
    assert connection_for("https://github.com/x").name == "reader"  # type: ignore[union-attr]  # there is one
    assert connection_for("https://github.com/x", "publish").name == "writer"  # type: ignore[union-attr]  # there is one
    assert connection_for("https://github.com/x", "trigger") is None


def test_hosts_are_the_enabled_connections_and_the_public_ones_without_a_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ConnectionFactory(
        name="ghe",
        kind="github",
        host="ghe.acme.example",
        credential="env:GHE",
        username="bot",
        allow_private=True,
    )
    ConnectionFactory(
        name="public", kind="github", host="github.com", allowed_prefixes=["/acme"], read_over="api"
    )
    ConnectionFactory(name="off", host="off.acme.example", enabled=False)
    ConnectionFactory(name="ci", host="ci.acme.example", purposes=["trigger"])
    hosts = {config.host: config for config in host_configs()}
    assert list(hosts) == ["ghe.acme.example", "github.com", "gitlab.com", "bitbucket.org", "dev.azure.com"]
    ghe, public = hosts["ghe.acme.example"], hosts["github.com"]
    assert (ghe.base_url, ghe.api_url) == ("https://ghe.acme.example", "https://ghe.acme.example/api/v3")
    assert ghe.allow_private and ghe.credential is not None
    monkeypatch.setenv("GHE", "s3cret")
    assert ghe.credential() == "s3cret"
    assert (public.api_url, public.read_over, public.credential) == ("https://api.github.com", "api", None)
    assert next(iter(host_configs("trigger"))).host == "ci.acme.example"


def test_five_failures_in_a_row_open_the_breaker_for_longer_each_time_and_a_success_closes_it() -> None:
    row = ConnectionFactory()
    start = timezone.now()
    with time_machine.travel(start, tick=False):
        assert [note_failure(connection=row, error="down") for _ in range(5)] == [
            False,
            False,
            False,
            False,
            True,
        ]
        row.refresh_from_db()
        assert (row.failures, row.open_until, is_open(row)) == (5, start + timedelta(seconds=30), True)
        assert not let_through(connection=row)
        note_failure(connection=row, error="down")
        row.refresh_from_db()
        assert row.open_until == start + timedelta(seconds=60)
        for _ in range(20):
            note_failure(connection=row, error="x" * 5_000)
        row.refresh_from_db()
        assert row.open_until == start + timedelta(minutes=15) and len(row.last_error) == 1_000
    with time_machine.travel(start + timedelta(minutes=16), tick=False):
        stale = Connection.objects.get(pk=row.pk)
        assert not is_open(row)
        assert [let_through(connection=row), let_through(connection=stale)] == [True, False]  # one probe only
        note_success(connection=row)
        row.refresh_from_db()
        assert (row.failures, row.open_until, row.last_error, let_through(connection=row)) == (
            0,
            None,
            "",
            True,
        )


def test_success_is_written_once_a_minute_at_most(django_assert_num_queries: Any) -> None:
    row = ConnectionFactory()
    start = timezone.now()
    for seconds, noted in ((0, 0), (30, 0), (61, 61)):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            note_success(connection=row)
        row.refresh_from_db()
        assert row.last_ok_at == start + timedelta(seconds=noted)


@pytest.mark.django_db(transaction=True)
def test_failures_that_happen_at_once_are_each_counted_once() -> None:
    row = ConnectionFactory()

    def fail(_: int) -> None:
        note_failure(connection=row, error="down")
        database.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fail, range(12)))
    row.refresh_from_db()
    assert row.failures == 12


def test_changing_what_failed_closes_the_breaker() -> None:
    row = ConnectionFactory(failures=7, open_until=timezone.now() + timedelta(minutes=5), last_error="down")
    save_connection(actor=ADMIN, connection=row, username="bot")
    row.refresh_from_db()
    assert (row.failures, row.open_until, row.last_error) == (0, None, "")


def _check(answer: Any, monkeypatch: pytest.MonkeyPatch, **values: Any) -> tuple[Any, Connection, list[Seen]]:
    monkeypatch.setenv("GIT_TOKEN", "s3cret")
    with serving(answer) as server:
        row = ConnectionFactory(
            kind="gitlab",
            host="127.0.0.1",
            base_url=f"http://127.0.0.1:{server.port}",
            credential="env:GIT_TOKEN",
            **values,
        )
        result = check_connection(actor=ADMIN, connection=row)
    row.refresh_from_db()
    return result, row, server.seen


def test_a_check_asks_the_api_with_the_credential_and_notes_success(monkeypatch: pytest.MonkeyPatch) -> None:
    result, row, seen = _check(lambda _: Reply(200, b"[]"), monkeypatch, allow_private=True)
    assert result.ok and not result.problem
    assert (seen[0].path, seen[0].headers["authorization"]) == (
        "/api/v4/projects?per_page=1",
        "Bearer s3cret",
    )
    assert row.last_ok_at is not None
    assert AuditEvent.objects.get().after == {"ok": True, "problem": ""}


@pytest.mark.parametrize(
    ("status", "what"),
    [
        (401, "refused the credential"),
        (403, "refused the credential"),
        (404, "status 404"),
        (500, "status 500"),
    ],
)
def test_a_check_that_fails_says_why_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, status: int, what: str
) -> None:
    result, row, _ = _check(lambda _: Reply(status, b""), monkeypatch, allow_private=True)
    assert not result.ok and what in result.problem and result.remedy
    assert row.failures == 1 and row.last_error == result.problem
    assert "s3cret" not in str(AuditEvent.objects.get().after)


def test_a_check_stays_away_from_internal_addresses_that_nobody_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result, _, seen = _check(lambda _: Reply(200, b"[]"), monkeypatch)
    assert not result.ok and "this machine itself" in result.problem
    assert seen == []


def test_a_check_without_the_secret_says_which_reference_leads_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_TOKEN", raising=False)
    result = check_connection(
        actor=ADMIN, connection=ConnectionFactory(host="127.0.0.1", credential="env:NO_TOKEN")
    )
    assert not result.ok and "NO_TOKEN is not set" in result.problem
