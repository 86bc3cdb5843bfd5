from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.house import ROOT

pytestmark = pytest.mark.slow


class Up:
    """``manage.py up --json`` as a process, in a data folder of its own."""

    def __init__(self, data: Path) -> None:
        outside = {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "PYTEST_XDIST_WORKER"}
        self.env = {k: v for k, v in os.environ.items() if k not in outside} | {
            "CALLBOARD_DATA_DIR": str(data)
        }
        self.process: subprocess.Popen[str] | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(ROOT / "manage.py"), "up", "--json", *arguments]

    def start(self, *arguments: str, until: str = "") -> dict[str, Any]:
        """Starts and waits for the line that says ready, or for a line of progress."""
        self.process = subprocess.Popen(
            self.command(*arguments), env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        return self.wait_for("progress", until) if until else self.wait_for("ready")

    def wait_for(self, event: str, text: str = "") -> dict[str, Any]:
        process = self.process
        assert process is not None
        assert process.stdout is not None
        for line in process.stdout:
            said: dict[str, Any] = json.loads(line)
            if said["event"] == event and text in said.get("detail", ""):
                return said
        raise AssertionError(
            f"up ended with {process.wait()}: {process.stderr.read() if process.stderr else ''}"
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), env=self.env, capture_output=True, text=True, check=False, timeout=60
        )

    def children(self) -> list[int]:
        assert self.process is not None
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in tasks.read_text().split()]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    made = Up(tmp_path / "data")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.stop(signal.SIGKILL)


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def gone(pids: list[int]) -> bool:
    until = time.monotonic() + 15
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at child processes through /proc")
def test_up_shows_the_demo_company_survives_a_killed_worker_and_stops_cleanly(up: Up, tmp_path: Path) -> None:
    ready = up.start("--port", "0")
    assert [p["username"] for p in ready["people"]], "the demo sign-ins are there"
    assert all(len(p["password"]) >= 12 for p in ready["people"])
    assert status_of(f"{ready['url']}/health/ready") == 200
    assert status_of(f"{ready['url']}/accounts/login/") == 200
    for name in ("demo-people.json", "secrets.json"):
        assert stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) == 0o600

    again = up.run("--port", "0")
    assert again.returncode != 0
    assert f"already runs from {tmp_path / 'data'}, at {ready['url']}" in again.stderr

    children = up.children()
    assert len(children) == 3
    os.kill(children[1], signal.SIGKILL)
    up.wait_for("progress", "worker runs again")
    children = up.children()
    assert len(children) == 3

    assert up.stop(signal.SIGINT) == 0
    assert gone(children)

    first = {p["username"]: p["password"] for p in ready["people"]}
    second = up.start("--port", "0")
    assert {p["username"]: p["password"] for p in second["people"]} == first, (
        "a second start keeps the passwords"
    )
    assert up.stop() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_nothing_is_left_when_up_itself_is_killed(up: Up) -> None:
    up.start("--port", "0", "--no-demo")
    children = up.children()
    up.stop(signal.SIGKILL)
    assert gone(children)


def test_what_the_file_of_sources_lists_is_registered_and_a_mistake_in_it_keeps_nothing_from_starting(
    up: Up, tmp_path: Path
) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text("sources: [{name: shop, target: shop}]\n")
    up.env["CALLBOARD_SOURCES"] = str(file)
    up.start("--port", "0", "--no-demo")
    up.stop()
    with sqlite3.connect(tmp_path / "data" / "callboard.sqlite3") as database:
        assert list(database.execute("SELECT name, target FROM catalog_source")) == [
            ("shop", f"{tmp_path}/shop")
        ]
    file.write_text("sources: [{name: shop}]\n")
    up.start("--port", "0", "--no-demo", until="sources[0]: the source has no target")
    up.wait_for("ready")
    assert up.stop() == 0


def test_a_port_that_is_taken_is_named_with_a_way_out(up: Up) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = up.run("--port", str(port), "--no-demo")
    assert refused.returncode != 0
    assert f"Port {port} of 127.0.0.1 is taken" in refused.stderr
    assert f"--port {port + 1}" in refused.stderr


def test_up_is_not_for_production(up: Up) -> None:
    up.env |= {
        "DJANGO_SETTINGS_MODULE": "portal.settings.production",
        "CALLBOARD_SECRET_KEY": "x" * 50,
        "CALLBOARD_KEYS": "1:" + "QUJD" * 11,
        "CALLBOARD_ALLOWED_HOSTS": "callboard.example.com",
    }
    refused = up.run("--no-demo")
    assert refused.returncode != 0
    assert "docs/operators/production.md" in refused.stderr
