"""Real web and worker processes on the database, the broker and the folder of a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.jobs.worker import ROOT, environment, until
from tests.services.servers import free_port

#: As ``manage.py up`` starts it, and as production does.
WEB: tuple[Callable[[int], list[str]], ...] = (
    lambda port: ["uvicorn", "portal.asgi:application", "--port", str(port), "--lifespan", "off"],
    lambda port: ["gunicorn", "-k", "gthread", "--threads", "2", "-b", f"127.0.0.1:{port}", "portal.wsgi"],
)
WORKER = [
    "celery", "-A", "portal.celery", "worker", "--pool", "threads", "-c", "2", "--loglevel", "WARNING",
    "--without-gossip", "--without-mingle", "--without-heartbeat",
]  # fmt: skip


@contextmanager
def running(folder: Path, log: Path) -> Iterator[list[httpx.Client]]:
    """Two web processes, of both kinds of server, and a worker; yields a client of each web process.

    Args:
        folder: below which the worker may read files.
        log: where all three write.
    """
    env = environment() | {
        "DJANGO_SETTINGS_MODULE": "tests.catalog.process_settings",
        "CALLBOARD_TEST_FOLDER": str(folder),
    }
    ports = [free_port() for _ in WEB]
    commands = [web(port) for web, port in zip(WEB, ports, strict=True)] + [WORKER]
    processes: list[subprocess.Popen[bytes]] = []
    clients = [httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) for port in ports]
    try:
        with log.open("wb") as out:
            for command in commands:
                processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", *command], cwd=ROOT, env=env, stdout=out, stderr=out,
                        start_new_session=True,
                    )
                )  # fmt: skip
        for client in clients:
            until(lambda client=client: _is_ready(client), log, seconds=60)
        yield clients
    finally:
        for client in clients:
            client.close()
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live").status_code == 200
    except httpx.HTTPError:
        return False  # not listening yet
