"""The processes of a throw-away installation, to be ended without warning and started again at once."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
from django.conf import settings

from catalog.bench.installation import Installation

ROLES = ("web", "worker", "scheduler")
#: Seconds without a sign of life after which a job goes to another worker: short, so that a run is short.
LEASE = 6
#: Seconds between two readings of what is registered over REST.
INTERVAL = 4


class AwayError(Exception):
    """The database did not answer the inspector."""


class Fleet(Installation):
    """An installation whose processes can be killed.

    Args:
        data: its data folder, where that is not in ``folder``.
        redis_url: empty for the broker in a folder.
        reach: addresses beyond the public internet that it may read from.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str,
        *,
        redis_url: str = "",
        reach: str = "",
        data: Path | None = None,
    ) -> None:
        super().__init__(folder, database_url)
        (folder / "tmp").mkdir()
        self.env |= {
            "REDIS_URL": redis_url,
            "CALLBOARD_DATA_DIR": str(data or folder / "data"),
            "CALLBOARD_JOB_LEASE": str(LEASE),
            "CALLBOARD_SYNC_INTERVAL": str(INTERVAL),
            "CALLBOARD_EGRESS_ALLOW": reach,
            "CALLBOARD_BEHIND_PROXY": "false",
            "CALLBOARD_STATIC_ROOT": str(folder / "static"),
            "TMPDIR": str(folder / "tmp"),
        }
        # If this process is killed, nobody is left to stop the others; then Linux does it.
        setpriv = shutil.which("setpriv")
        self._prefix = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
        self._started: dict[str, float] = {}
        self._startup = 0.0  # seconds that the web process took the last time until it answered
        self._inspector: subprocess.Popen[bytes] | None = None

    # ------------------------------------------------------------------------------------------------------ processes

    def start(self, workers: int = 1, threads: int = 4) -> None:
        """Start web, worker and scheduler and wait until the web process is ready."""
        for role in self.commands(workers, threads):
            self.start_role(role)
        self.wait_until_ready()
        self._startup = time.monotonic() - self._started["web"]

    def start_role(self, role: str) -> None:
        command = self.commands(1, 4)[role]
        with (self.folder / f"{role}.log").open("ab") as log:
            # A process group of its own: children go with it, and nobody else does.
            self.processes[role] = subprocess.Popen(
                [*self._prefix, *command], env=self.env, stdout=log, stderr=log, cwd=settings.BASE_DIR,
                start_new_session=True,
            )  # fmt: skip
        self._started[role] = time.monotonic()

    def works(self, role: str) -> bool:
        """Whether a process has run long enough to be in the middle of something: as long as web takes to answer."""
        age = time.monotonic() - self._started[role]
        if role != "web":
            return age > self._startup
        try:
            httpx.get(f"http://127.0.0.1:{self.port}/health/live", timeout=2)
        except httpx.TransportError:
            return False
        return True

    def kill(self, role: str) -> None:
        """``kill -9`` of a whole process group."""
        process = self.processes[role]
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def restart_ended(self) -> list[str]:
        """Start again what ended by itself, as a supervisor would. Returns which."""
        ended = [role for role, process in self.processes.items() if process.poll() is not None]
        for role in ended:
            self.start_role(role)
        return ended

    def stop(self) -> None:
        for role in self.processes:
            self.kill(role)
        if self._inspector is not None:
            self._inspector.kill()
            self._inspector.wait()

    def log_of(self, role: str) -> str:
        return (self.folder / f"{role}.log").read_text(errors="replace")

    # ------------------------------------------------------------------------------------------------------ inspector

    def start_inspector(self) -> None:
        with (self.folder / "inspector.log").open("ab") as log:
            self._inspector = subprocess.Popen(
                [*self._prefix, sys.executable, "-m", "catalog.bench.faults.inspector"], env=self.env,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=settings.BASE_DIR,
                start_new_session=True,
            )  # fmt: skip

    def ask(self, question: str, **arguments: Any) -> Any:
        """Ask the inspector.

        Raises:
            AwayError: the database does not answer it just now.
        """
        process = self._inspector
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("The inspector was not started.")
        process.stdin.write(orjson.dumps({"ask": question, **arguments}) + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"The inspector ended: {self.log_of('inspector')[-2000:]}")
        answer = orjson.loads(line)
        if "away" in answer:
            raise AwayError(answer["away"])
        return answer["answer"]
