"""Event streams from real servers: uvicorn as ``manage.py up`` starts it, gunicorn as production does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection
from django.test import Client

from portal.access.models import Token
from portal.access.services import create_token, revoke_token
from portal.access.viewer import Viewer
from portal.events.services import publish, seal
from tests.factories.access import StaffFactory, UserFactory
from tests.jobs.worker import ROOT, environment, until
from tests.services.servers import free_port

pytestmark = pytest.mark.django_db(transaction=True)
SYSTEM = Viewer.system("test")
URL = "/api/events/v1/stream"
SERVERS: dict[str, Callable[[int], list[str]]] = {
    "uvicorn": lambda port: [
        "uvicorn", "portal.asgi:application", "--port", str(port), "--lifespan", "off", "--no-access-log",
        "--timeout-graceful-shutdown", "5",
    ],
    "gunicorn": lambda port: [
        "gunicorn", "-k", "asgi", "--asgi-lifespan", "off", "--workers", "1", "-b", f"127.0.0.1:{port}", "portal.asgi",
    ],
}  # fmt: skip
SECONDS = 20.0


class Server:
    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log
        self.base = f"http://127.0.0.1:{port}"

    def stop(self) -> float:
        """Asks it to end; how many seconds that took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(25)
        return time.monotonic() - started


@contextmanager
def serving(kind: str, log: Path, **settings: str) -> Iterator[Server]:
    port = free_port()
    env = environment() | {"DJANGO_SETTINGS_MODULE": "tests.events.stream_settings"} | settings
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *SERVERS[kind](port)],
            cwd=ROOT, env=env, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    server = Server(process, port, log)
    try:
        until(lambda: _answers(server), log, seconds=60)
        yield server
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _answers(server: Server) -> bool:
    assert server.process.poll() is None, server.log.read_text()
    try:
        return httpx.get(f"{server.base}/health/live").status_code == 200
    except httpx.HTTPError:
        return False  # not listening yet


@pytest.fixture(params=SERVERS)
def server(request: Any, tmp_path: Path) -> Iterator[Server]:
    with serving(request.param, tmp_path / "server.log") as found:
        yield found


@pytest.fixture
def uvicorn(tmp_path: Path) -> Iterator[Server]:
    """One kind, where the server itself is not what is tested."""
    with serving("uvicorn", tmp_path / "server.log") as found:
        yield found


class Stream:
    """A client that reads in a thread.

    Attributes:
        events: what came, as (type, data, id).
        comments: signs of life.
        last_id: the newest id, also of a sign of life.
        ended: set when the server ended it; ``broken`` says whether in the middle of the answer.
    """

    def __init__(self, server: Server, token: str, **options: Any) -> None:
        self.events: list[tuple[str, dict[str, Any], str]] = []
        self.comments: list[str] = []
        self.last_id, self.status, self.retry, self.broken = "", 0, "", False
        self.opened, self.ended = threading.Event(), threading.Event()
        self._close = threading.Event()
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        self._thread = threading.Thread(
            target=self._read, args=(server.base + URL, headers, options.pop("params", {})), daemon=True
        )
        self._thread.start()
        assert self.opened.wait(SECONDS), server.log.read_text()

    def _read(self, url: str, headers: dict[str, str], params: Any) -> None:
        fields: dict[str, str] = {}
        try:
            with httpx.stream("GET", url, headers=headers, params=params, timeout=60) as answer:
                self.status, self.headers = answer.status_code, answer.headers
                if answer.status_code != 200:
                    answer.read()
                    self.body = answer.json()
                    return
                for line in answer.iter_lines():
                    if self._close.is_set():
                        return
                    if line.startswith(":"):
                        self.comments.append(line)
                    elif line:
                        name, _, value = line.partition(": ")
                        fields[name] = value
                    else:
                        self._dispatch(fields)
                        fields = {}
        except httpx.HTTPError:
            self.broken = True
        finally:
            self.opened.set()
            self.ended.set()

    def _dispatch(self, fields: dict[str, str]) -> None:
        self.retry = fields.get("retry", self.retry)
        self.last_id = fields.get("id", self.last_id)
        if "data" in fields:
            self.events.append((fields.get("event", ""), json.loads(fields["data"]), fields.get("id", "")))
        self.opened.set()

    def subjects(self) -> list[str]:
        return [data["subject"] for _, data, _ in self.events]

    def wait_for(self, *subjects: str) -> None:
        deadline = time.monotonic() + SECONDS
        while self.subjects() != list(subjects) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.subjects() == list(subjects)

    def close(self) -> None:
        """Hang up at the next line."""
        self._close.set()


@pytest.fixture
def token() -> str:
    return create_token(actor=SYSTEM, user=UserFactory(), name="stream")[1]


def happen(*subjects: str, type: str = "tests.happened") -> None:
    publish(events=[(type, subject, {"s": subject}) for subject in subjects])
    seal()


def test_a_stream_tells_what_happens_and_goes_on_after_a_break(server: Server, token: str) -> None:
    happen("before")
    stream = Stream(server, token)
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["cache-control"] == "no-store" and stream.headers["x-accel-buffering"] == "no"
    assert stream.retry == "3000"
    happen("a", "b")
    stream.wait_for("a", "b")
    type, data, cursor = stream.events[0]
    assert type == "tests.happened" and set(data) == {"id", "type", "subject", "data", "at"}

    happen("c")
    back = Stream(server, token, headers={"Last-Event-ID": cursor})
    back.wait_for("b", "c")
    all_of_it = httpx.get(
        f"{server.base}/api/events/v1/events", headers={"Authorization": f"Bearer {token}"}
    ).json()
    assert [item["subject"] for item in all_of_it["items"]] == ["before", "a", "b", "c"]
    assert {item["id"] for item in all_of_it["items"]} > {data["id"] for _, data, _ in back.events}
    by_cursor = Stream(server, token, params={"cursor": cursor, "subject": "c*"})
    by_cursor.wait_for("c")


def test_filters_and_rules_hold_in_streams_and_signs_of_life_carry_the_cursor(
    uvicorn: Server, token: str
) -> None:
    staff = create_token(actor=SYSTEM, user=StaffFactory(), name="stream")[1]
    member_stream = Stream(uvicorn, token)
    staff_stream = Stream(uvicorn, staff)
    narrow = Stream(uvicorn, token, params={"type": "tests.a.*", "subject": ["x", "y*"]})
    began = narrow.last_id
    happen("secret", type="operations.key-lost")
    happen("x", "y1", "z", type="tests.a.b")
    happen("x", type="tests.c")
    staff_stream.wait_for("secret", "x", "y1", "z", "x")
    member_stream.wait_for("x", "y1", "z", "x")
    narrow.wait_for("x", "y1")
    alive = len(narrow.comments)
    until(lambda: len(narrow.comments) > alive, uvicorn.log)
    assert narrow.last_id != began
    Stream(uvicorn, token, headers={"Last-Event-ID": narrow.last_id})
    happen("later")
    member_stream.wait_for("x", "y1", "z", "x", "later")


def test_a_revoked_token_a_disabled_person_and_a_sign_out_end_their_streams(server: Server) -> None:
    person, other = UserFactory(), UserFactory()
    row, text = create_token(actor=SYSTEM, user=person, name="one")
    _, others = create_token(actor=SYSTEM, user=other, name="other")
    browser = Client()
    browser.force_login(person)
    cookie = {
        "Cookie": f"callboard_session={browser.cookies['callboard_session'].value}",
        "Authorization": "",
    }
    revoked, disabled = Stream(server, text), Stream(server, others)
    signed_out = Stream(server, "", headers=cookie)
    assert signed_out.status == 200
    time.sleep(1.2)  # two looks at who may still listen
    assert not any(s.ended.is_set() for s in (revoked, disabled, signed_out))
    revoke_token(actor=SYSTEM, token=Token.objects.get(pk=row.pk))
    assert revoked.ended.wait(SECONDS) and not revoked.broken, "it ends cleanly"
    other.is_active = False
    other.save()
    assert disabled.ended.wait(SECONDS) and not disabled.broken
    assert not signed_out.ended.is_set()
    browser.logout()
    assert signed_out.ended.wait(SECONDS)
    assert Stream(server, text).status == 401


def test_streams_end_cleanly_and_at_once_when_the_server_stops(server: Server, token: str) -> None:
    streams = [Stream(server, token) for _ in range(3)]
    took = server.stop()
    for stream in streams:
        assert stream.ended.wait(SECONDS) and not stream.broken
    assert took < 4.5, "before the server's patience is over"
    assert "Traceback" not in server.log.read_text()


def test_one_stream_too_many_is_refused_and_a_place_is_free_when_a_client_went(
    uvicorn: Server, token: str
) -> None:
    streams = [Stream(uvicorn, token) for _ in range(4)]
    refused = Stream(uvicorn, token)
    assert (refused.status, refused.body["error"]["code"]) == (503, "events.stream.full")
    assert "CALLBOARD_EVENT_STREAMS" in refused.body["error"]["remedy"] and refused.headers["retry-after"]
    streams[0].close()
    until(lambda: Stream(uvicorn, token).status == 200, uvicorn.log)


def test_a_cursor_that_is_none_or_too_old_is_refused_with_a_status(uvicorn: Server, token: str) -> None:
    assert Stream(uvicorn, token, params={"cursor": "x"}).status == 400
    assert Stream(uvicorn, token, params={"after": "1"}).status == 400
    assert Stream(uvicorn, "cb_nobody").status == 401


def test_ten_thousand_events_at_once_reach_every_stream_in_order(uvicorn: Server, token: str) -> None:
    streams = [Stream(uvicorn, token), Stream(uvicorn, token, params={"subject": "s1*"})]
    names = [f"s{n}" for n in range(10_000)]
    happen(*names)
    streams[0].wait_for(*names)
    streams[1].wait_for(*[name for name in names if name.startswith("s1")])


@pytest.mark.database("postgresql")
def test_open_streams_hold_no_connection_each(uvicorn: Server, token: str) -> None:
    def connections() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            return int(cursor.fetchone()[0])

    before = connections()
    streams = [Stream(uvicorn, token) for _ in range(4)]
    happen("a")
    for stream in streams:
        stream.wait_for("a")
    assert connections() - before <= 3, "the poller and two readers"


def test_where_pages_are_served_the_answer_says_where_streams_are(token: str) -> None:
    answer = Client(headers={"Authorization": f"Bearer {token}"}).get(URL)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "events.stream.elsewhere")
    assert "callboard.conf" in error["remedy"]


def test_the_proxy_sends_streams_to_the_event_process() -> None:
    text = (ROOT / "deploy/nginx/callboard.conf").read_text()
    assert (
        "location ~ (/eventstream|^/api/events/v1/stream)$ {\n        proxy_pass http://callboard_events;"
        in text
    )
