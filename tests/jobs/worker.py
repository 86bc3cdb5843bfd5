"""A real worker process, to be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]


def until(condition: Callable[[], Any], log: Path, seconds: float = 30.0) -> Any:
    """Waits for something to become true and returns it; says what the worker logged when it does not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s in vain; the worker said:\n{log.read_text()}")


def environment() -> dict[str, str]:
    """What makes another process use the database and the broker of this test."""
    keys = ("ENGINE", "NAME", "HOST", "PORT", "USER", "PASSWORD", "OPTIONS")
    shared = {
        "database": {key: connection.settings_dict[key] for key in keys},
        "broker": settings.CELERY_BROKER_URL,
        "broker_options": settings.CELERY_BROKER_TRANSPORT_OPTIONS,
    }
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.jobs.worker_settings",
        "CALLBOARD_TEST_WORKER": json.dumps(shared, default=str),
        "PYTHONPATH": str(ROOT),
    }


@contextmanager
def worker(log: Path, threads: int = 2) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker as production starts it; killed at the end whatever happened."""
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "portal.celery",
        "worker",
        "--pool",
        "threads",
        "-c",
        str(threads),
    ]
    command += ["--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
