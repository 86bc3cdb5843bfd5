"""The shipped production files, run as they are: settings example, service units, gunicorn configuration."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.house import ROOT
from tests.services.servers import free_port

pytestmark = [pytest.mark.slow, pytest.mark.services("postgresql", "redis")]
HOST = "callboard.example.com"


def example_environment() -> dict[str, str]:
    lines = (ROOT / "deploy/callboard.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))


def unit_command(name: str, **ports: int) -> list[str]:
    """``ExecStart`` of a shipped unit, with this environment's programs and other ports."""
    text = (ROOT / f"deploy/systemd/callboard-{name}.service").read_text()
    found = re.search(r"^ExecStart=(.+)$", text, re.MULTILINE)
    assert found, name
    line = found[1].replace("/srv/callboard/app/.venv/bin/", f"{Path(sys.executable).parent}/")
    for old, new in ports.items():
        line = line.replace(old.removeprefix("p"), str(new))
    return shlex.split(line)


def get(port: int, path: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": HOST, **headers})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 40
    while True:
        try:
            if get(port, "/health/ready")[0] == 200:
                return
        except OSError:
            pass  # not listening yet
        assert process.poll() is None and time.monotonic() < until, log.read_text()
        time.sleep(0.2)


@pytest.fixture
def environment(tmp_path: Path, postgresql_url: str, redis_url: str) -> dict[str, str]:
    (tmp_path / "metrics").mkdir()
    inherited = {"PATH": os.environ["PATH"]}
    return inherited | example_environment() | {
        "CALLBOARD_SECRET_KEY": "0123456789" * 6,
        "CALLBOARD_KEYS": "2026-1:" + base64.b64encode(b"k" * 32).decode(),
        "CALLBOARD_METRICS_TOKEN": "watch",
        "CALLBOARD_DATA_DIR": str(tmp_path / "data"),
        "DATABASE_URL": postgresql_url,
        "REDIS_URL": redis_url,
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        "CALLBOARD_WEB_PROCESSES": "2",
    }  # fmt: skip


@pytest.fixture
def layout(environment: dict[str, str], tmp_path: Path) -> Iterator[dict[str, int]]:
    """All four units run; the value is the port of ``web`` and of ``events``."""
    for command in (["migrate", "--noinput"], ["collectstatic", "--noinput"]):
        subprocess.run(
            [sys.executable, ROOT / "manage.py", *command],
            env=environment,
            check=True,
            capture_output=True,
            cwd=ROOT,
        )
    ports = {"web": free_port(), "events": free_port()}
    environment["CALLBOARD_BIND"] = f"127.0.0.1:{ports['web']}"
    processes = {}
    try:
        for name in ("web", "events", "worker", "scheduler"):
            with (tmp_path / f"{name}.log").open("wb") as log:
                processes[name] = subprocess.Popen(
                    unit_command(name, p8002=ports["events"]),
                    env=environment,
                    cwd=ROOT,
                    stdout=log,
                    stderr=log,
                )
        for name, port in ports.items():
            wait_until_ready(port, processes[name], tmp_path / f"{name}.log")
        yield ports
        for name, process in processes.items():
            assert process.poll() is None, f"{name} ended: {(tmp_path / f'{name}.log').read_text()}"
    finally:
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        for process in processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def test_the_shipped_units_serve_pages_health_and_one_set_of_metrics(
    layout: dict[str, int], tmp_path: Path
) -> None:
    https = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "6.6.6.6, 203.0.113.9"}
    assert get(layout["web"], "/accounts/login/", **https)[0] == 200
    assert get(layout["events"], "/accounts/login/", **https)[0] == 200
    assert get(layout["web"], "/health/live", Host="10.0.0.1")[0] == 400, "only the names that were allowed"
    status, figures = get(layout["web"], "/metrics", Authorization="Bearer watch")
    assert status == 200
    counted = re.search(
        r'request_seconds_count\{method="GET",route="accounts/login/",status="2xx"\} (\S+)', figures
    )
    assert counted and float(counted[1]) == 2, "both servers are in one answer"
    lines = [
        json.loads(line) for line in (tmp_path / "web.log").read_text().splitlines() if line.startswith("{")
    ]
    assert [line["status"] for line in lines if line.get("route") == "accounts/login/"] == [200]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("CALLBOARD_SECRET_KEY", "local-" + "x" * 60, "CALLBOARD_SECRET_KEY"),
        ("CALLBOARD_SECRET_KEY", "", "CALLBOARD_SECRET_KEY"),
        ("CALLBOARD_KEYS", "local-1:eA==", "CALLBOARD_KEYS"),
        ("CALLBOARD_ALLOWED_HOSTS", "", "CALLBOARD_ALLOWED_HOSTS"),
    ],
)
def test_production_refuses_to_start_without_its_own_keys_and_names(
    environment: dict[str, str], variable: str, value: str, said: str
) -> None:
    refused = subprocess.run(
        [sys.executable, ROOT / "manage.py", "check"],
        env=environment | {variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert f"Set {said}" in refused.stderr


@pytest.mark.req("R131")
def test_django_finds_nothing_to_say_about_the_production_settings(environment: dict[str, str]) -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
