"""The gate that every call to a host with a connection goes through."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import connection as database
from django.utils import timezone

from catalog.ingest.sources import ReadSession
from catalog.refs import LocationRef
from portal.access.viewer import Viewer
from portal.connections.gates import ConnectionGate
from portal.connections.hosts import PUBLIC_HOSTS
from portal.connections.models import Connection
from portal.connections.selectors import host_config
from portal.connections.services import check_connection, reserve_call, save_connection
from portal.core.errors import CallboardError, InputError, NotFoundError, ServiceUnavailableError
from portal.core.http import HttpStatusError
from portal.core.process import CancelledError
from tests.factories.connections import ConnectionFactory
from tests.services.git_server import GitServer, git_server  # noqa: F401  # the fixture
from tests.services.http_server import Reply, Server, serving

pytestmark = pytest.mark.django_db
ADMIN = Viewer(actor="user:admin", user_id=1, is_staff=True)


class Host:
    """A web server that gives one answer to everything, and the connection for it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.reply = Reply(body=b"a: 1")
        server.answer = lambda _: self.reply
        self.row = ConnectionFactory(
            name="work", host=f"127.0.0.1:{server.port}", base_url=server.base, allow_private=True
        )

    def session(self, tmp_path: Path, **options: Any) -> ReadSession:
        return ReadSession(hosts=[host_config(self.now)], git_cache=tmp_path, gate=ConnectionGate(**options))

    def read(self, session: ReadSession, name: str = "a.yaml") -> bytes:
        return session.read(LocationRef("url", f"{self.server.base}/{name}")).data

    def failing(self, session: ReadSession, name: str = "a.yaml") -> CallboardError:
        with pytest.raises(CallboardError) as failed:
            self.read(session, name)
        return failed.value

    @property
    def requests(self) -> int:
        return len(self.server.seen)

    @property
    def now(self) -> Connection:
        return Connection.objects.unrestricted("test").get(pk=self.row.pk)

    def set(self, **values: Any) -> None:
        Connection.objects.filter(pk=self.row.pk).update(**values)


@pytest.fixture
def host() -> Iterator[Host]:
    with serving(lambda _: Reply()) as server:
        yield Host(server)


def test_an_open_breaker_refuses_without_a_request_and_says_what_to_do(host: Host, tmp_path: Path) -> None:
    until = timezone.now() + timedelta(minutes=5)
    host.set(failures=7, open_until=until, last_error="The server is down.")
    error = host.failing(host.session(tmp_path))
    assert isinstance(error, ServiceUnavailableError) and error.code == "connections.open"
    for part in ("work", "127.0.0.1", "7 times", f"{until:%H:%M:%S} UTC", "never", "The server is down."):
        assert part in error.message
    assert "Check" in error.remedy
    assert host.requests == 0


def test_the_fifth_failure_ends_the_rest_of_the_same_reading(host: Host, tmp_path: Path) -> None:
    host.reply = Reply(500)
    session = host.session(tmp_path)
    codes = [host.failing(session, f"{n}.yaml").code for n in range(8)]
    assert codes == ["http.status"] * 5 + ["connections.open"] * 3
    assert (host.requests, host.now.failures) == (5, 5)
    assert "status 500" in host.failing(session, "9.yaml").message


def test_a_host_that_hangs_up_is_a_failure_and_files_that_are_not_there_are_answers(
    host: Host, tmp_path: Path
) -> None:
    for status in (404, 401, 403):
        host.reply = Reply(status)
        host.failing(host.session(tmp_path))
    assert (host.now.failures, host.now.last_ok_at is not None) == (0, True)
    host.server.httpd.server_close()  # nobody listens any more
    host.server.httpd.shutdown()
    error = host.failing(host.session(tmp_path))
    assert (error.code, host.now.failures, host.now.last_error) == ("http.unreachable", 1, error.message)


def test_all_is_well_costs_one_look_and_one_note_a_session(
    host: Host, tmp_path: Path, django_assert_num_queries: Any
) -> None:
    session = host.session(tmp_path)
    with django_assert_num_queries(2):
        for n in range(20):
            host.read(session, f"{n}.yaml")
    assert host.now.last_ok_at is not None


def test_a_success_after_a_failure_is_noted_again(host: Host, tmp_path: Path) -> None:
    session = host.session(tmp_path)
    host.read(session, "1.yaml")
    host.reply = Reply(500)
    host.failing(session, "2.yaml")
    assert host.now.failures == 1
    host.reply = Reply(200)
    host.read(session, "3.yaml")
    assert host.now.failures == 0


def test_one_reading_probes_after_the_pause_and_its_success_lets_the_others_through(
    host: Host, tmp_path: Path
) -> None:
    host.set(failures=5, open_until=timezone.now() + timedelta(seconds=30), last_error="down")
    with time_machine.travel(timezone.now() + timedelta(seconds=31), tick=True):
        probing, second = host.session(tmp_path), host.session(tmp_path)
        host.reply = Reply(500)
        assert host.failing(probing).code == "http.status"
        assert host.failing(second).code == "connections.open"
        assert host.failing(probing).code == "connections.open"
    with time_machine.travel(timezone.now() + timedelta(minutes=2), tick=True):
        host.reply = Reply(body=b"a: 2")
        probing = host.session(tmp_path)
        assert [host.read(probing, f"{n}.yaml") for n in range(3)] == [b"a: 2"] * 3
        assert host.read(host.session(tmp_path)) == b"a: 2"
        assert (host.now.failures, host.now.open_until) == (0, None)


def test_a_check_in_the_admin_lets_readings_through_again(host: Host, tmp_path: Path) -> None:
    host.set(failures=9, open_until=timezone.now() + timedelta(minutes=15))
    assert host.failing(host.session(tmp_path)).code == "connections.open"
    assert check_connection(actor=ADMIN, connection=host.now).ok
    assert host.read(host.session(tmp_path)) == b"a: 1"


def test_git_commands_go_through_the_gate_too(
    git_server: GitServer,  # noqa: F811  # the fixture
    tmp_path: Path,
) -> None:
    git_server.repository("acme/shop").commit({"catalog-info.yaml": "a: 1"})
    row = ConnectionFactory(
        name="forge", host=git_server.host, base_url=git_server.base, allow_private=True, rate_per_minute=300
    )
    place = LocationRef("git", git_server.url("acme/shop"))

    def read() -> None:
        session = ReadSession(hosts=[host_config(row)], git_cache=tmp_path / "cache", gate=ConnectionGate())
        session.read(session.expand(place)[0])

    before = timezone.now()
    read()
    row.refresh_from_db()
    assert row.last_ok_at is not None
    # Asking for the branch and fetching it: two commands, each with its own turn.
    assert row.next_call_at is not None and row.next_call_at >= before + timedelta(seconds=0.4)
    Connection.objects.filter(pk=row.pk).update(failures=5, open_until=timezone.now() + timedelta(minutes=1))
    asked = len(git_server.requests)
    with pytest.raises(ServiceUnavailableError) as refused:
        read()
    assert refused.value.code == "connections.open"
    assert len(git_server.requests) == asked


def test_a_git_server_that_fails_is_a_failure_and_a_missing_repository_is_none(
    git_server: GitServer,  # noqa: F811  # the fixture
    tmp_path: Path,
) -> None:
    row = ConnectionFactory(host=git_server.host, base_url=git_server.base, allow_private=True)

    def read(base: str) -> None:
        session = ReadSession(hosts=[host_config(row)], git_cache=tmp_path / "cache", gate=ConnectionGate())
        with pytest.raises(CallboardError):
            session.expand(LocationRef("git", f"{base}/acme/none.git"))
        row.refresh_from_db()

    read(git_server.base)
    assert row.failures == 0 and row.last_ok_at is not None
    with serving(lambda _: Reply(503)) as broken:
        Connection.objects.filter(pk=row.pk).update(host=f"127.0.0.1:{broken.port}", base_url=broken.base)
        row.refresh_from_db()
        read(broken.base)
    assert row.failures == 1 and "503" in row.last_error


def test_hosts_without_a_connection_are_free(django_assert_num_queries: Any) -> None:
    gate = ConnectionGate()
    with django_assert_num_queries(0):
        for _ in range(3):
            with pytest.raises(HttpStatusError), gate.call(PUBLIC_HOSTS[0]):
                raise HttpStatusError("down", http_status=500)


# ------------------------------------------------------------------------------------------------------------- budget


def test_the_budget_spreads_calls(host: Host, tmp_path: Path) -> None:
    host.set(rate_per_minute=600)
    session, started = host.session(tmp_path), time.monotonic()
    for n in range(6):
        host.read(session, f"{n}.yaml")
    assert 0.5 <= time.monotonic() - started < 3
    assert host.requests == 6


@pytest.mark.django_db(transaction=True)
def test_threads_share_the_budget_of_a_connection(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.set(rate_per_minute=600)
    row = host.now
    everybody, met, now = threading.Barrier(4), threading.local(), timezone.now

    def now_when_all_have_looked() -> datetime:
        if not hasattr(met, "once"):
            met.once = True
            everybody.wait(timeout=30)
        return now()

    def take(_: int) -> datetime:
        try:
            return reserve_call(connection=row, longest=timedelta(minutes=1))
        finally:
            database.close()

    monkeypatch.setattr("portal.connections.services.timezone.now", now_when_all_have_looked)
    with ThreadPoolExecutor(4) as pool:
        turns = sorted(pool.map(take, range(4)))
    assert min(later - earlier for earlier, later in pairwise(turns)) >= timedelta(seconds=0.1)


_TAKE = """
import sys, django
from datetime import timedelta
django.setup()
from django.db import connection
connection.settings_dict["NAME"] = sys.argv[1]
from portal.connections.models import Connection
from portal.connections.services import reserve_call
row = Connection.objects.unrestricted("test").get(name="work")
print("ready", flush=True)
input()
for _ in range(60):
    print(reserve_call(connection=row, longest=timedelta(minutes=1)).timestamp())
"""


@pytest.mark.django_db(transaction=True)
def test_processes_share_the_budget_of_a_connection(host: Host) -> None:
    name = str(database.settings_dict["NAME"])
    if "memory" in name:
        pytest.skip("a database in memory has one process")
    host.set(rate_per_minute=6_000)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _TAKE, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for one in running:
        assert one.stdout is not None and one.stdout.readline() == "ready\n"
    for one in running:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    turns = sorted(float(line) for one in running for line in one.communicate(timeout=60)[0].split())
    assert len(turns) == 120
    assert min(later - earlier for earlier, later in pairwise(turns)) >= 0.0099


def test_waiting_for_a_turn_ends_when_the_work_is_cancelled(host: Host, tmp_path: Path) -> None:
    host.set(next_call_at=timezone.now() + timedelta(seconds=50))
    started = time.monotonic()
    with pytest.raises(CancelledError):
        host.read(host.session(tmp_path, cancelled=lambda: time.monotonic() > started + 0.3))
    assert time.monotonic() - started < 5 and host.requests == 0


def test_a_turn_that_is_too_far_away_is_refused_and_not_taken(host: Host, tmp_path: Path) -> None:
    far = timezone.now() + timedelta(seconds=20)
    host.set(rate_per_minute=1, next_call_at=far)
    error = host.failing(host.session(tmp_path, longest_wait=timedelta(seconds=5)))
    assert error.code == "connections.limited" and f"{far:%H:%M:%S}" in error.message and error.remedy
    assert (host.requests, host.now.next_call_at, host.now.failures) == (0, far, 0)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (429, {"Retry-After": "600"}),
        (429, {"Retry-After": formatdate(time.time() + 600, usegmt=True)}),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 600)}),
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 600)}),
        (200, {"RateLimit-Remaining": "0", "RateLimit-Reset": "600"}),
    ],
)
def test_a_host_that_asks_for_rest_is_left_alone_by_everybody(
    host: Host, tmp_path: Path, status: int, headers: dict[str, str]
) -> None:
    host.reply = Reply(status, b"a: 1", headers)
    session = host.session(tmp_path)
    if status == 200:
        host.read(session)
    else:
        assert "limits the rate" in host.failing(session).remedy
    assert host.now.failures == 0
    host.reply = Reply(200)
    codes = {host.failing(one, "b.yaml").code for one in (session, host.session(tmp_path))}
    assert (codes, host.requests) == ({"connections.limited"}, 1)
    with time_machine.travel(timezone.now() + timedelta(seconds=700), tick=True):
        host.read(host.session(tmp_path))


def test_what_a_host_asks_for_ends_after_an_hour_and_nonsense_is_ignored(host: Host, tmp_path: Path) -> None:
    nonsense = {"Retry-After": "soon", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "later"}
    host.reply = Reply(404, b"", nonsense)
    session = host.session(tmp_path)
    assert isinstance(host.failing(session), NotFoundError)
    assert host.now.next_call_at is None
    host.reply = Reply(429, b"", {"Retry-After": "999999999"})
    host.failing(session)
    until = host.now.next_call_at
    assert until is not None and until <= timezone.now() + timedelta(hours=1)


def test_a_budget_is_a_number_of_calls_and_changing_it_counts_from_now(host: Host) -> None:
    for rate in (-1, 60_001, "many"):
        with pytest.raises(InputError) as refused:
            save_connection(actor=ADMIN, connection=host.now, rate_per_minute=rate)
        assert refused.value.details["field"] == "rate_per_minute"
    host.set(next_call_at=timezone.now() + timedelta(minutes=5))
    save_connection(actor=ADMIN, connection=host.now, rate_per_minute=60)
    assert (host.now.rate_per_minute, host.now.next_call_at) == (60, None)
