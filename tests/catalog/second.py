"""A second instance in processes of its own: what another Backstage-compatible instance is to this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

from tests.jobs.worker import ROOT, until
from tests.services.servers import free_port


@dataclass
class Second:
    """The instance.

    Attributes:
        base: address of its catalog API.
        files: the folder that it reads; what stands there is in its catalog after :meth:`read`.
    """

    base: str
    host: str
    token: str
    files: Path
    hands: subprocess.Popen[str]

    def write(self, name: str, *documents: str) -> None:
        (self.files / name).write_text("---\n".join(documents))

    def remove(self, name: str) -> None:
        (self.files / name).unlink()

    def clear(self) -> None:
        for file in self.files.iterdir():
            file.unlink()

    def read(self) -> dict[str, Any]:
        stdin, stdout = _pipes(self.hands)
        stdin.write("read\n")
        stdin.flush()
        result: dict[str, Any] = json.loads(stdout.readline())
        assert "error" not in result, result
        return result

    def get(self, path: str) -> Any:
        answer = httpx.get(
            f"{self.base}{path}", headers={"authorization": f"Bearer {self.token}"}, timeout=20
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def second_instance(folder: Path) -> Iterator[Second]:
    """Start it below ``folder``; it ends with the block."""
    files = folder / "files"
    files.mkdir()
    port = free_port()
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.catalog.second_settings",
        "CALLBOARD_SECOND_FOLDER": str(folder),
        "PYTHONPATH": str(ROOT),
    }
    env.pop("DATABASE_URL", None)
    env.pop("REDIS_URL", None)
    log = folder / "log"
    processes: list[subprocess.Popen[Any]] = []
    try:
        with log.open("wb") as out:
            hands = subprocess.Popen(
                [sys.executable, "-m", "tests.catalog.second_hands"],
                cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out, text=True,
                start_new_session=True,
            )  # fmt: skip
            processes.append(hands)
            first = _pipes(hands)[1].readline()
            assert first, log.read_text()
            command = ["uvicorn", "portal.asgi:application", "--port", str(port), "--lifespan", "off"]
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", *command], cwd=ROOT, env=env, stdout=out, stderr=out,
                    start_new_session=True,
                )
            )  # fmt: skip
        host = f"127.0.0.1:{port}"
        second = Second(f"http://{host}/api/catalog", host, json.loads(first), files, hands)
        until(lambda: _answers(second), log, seconds=60)
        yield second
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _answers(second: Second) -> bool:
    try:
        return httpx.get(f"{second.base}/entities", timeout=20).status_code == 401
    except httpx.HTTPError:
        return False  # not listening yet
