"""A throw-away installation to measure: own data folder, own database, the production layout of processes."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
from django.conf import settings
from psycopg import sql

from catalog.bench.servers import free_port


class Installation:
    """Processes and commands of one throw-away installation."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.port = free_port()
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "portal.settings.production",
            "CALLBOARD_SECRET_KEY": secrets.token_urlsafe(60),
            "CALLBOARD_KEYS": f"bench-1:{key}",
            "CALLBOARD_ALLOWED_HOSTS": "127.0.0.1",
            "CALLBOARD_HTTPS": "false",
            "CALLBOARD_DATA_DIR": str(folder / "data"),
            "CALLBOARD_FILE_ROOTS": str(folder),
            "CALLBOARD_LOG_LEVEL": "WARNING",
            "DATABASE_URL": database_url,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def manage(self, *arguments: str, typed: str = "") -> str:
        """Run ``manage.py``; returns what it printed.

        Args:
            typed: its standard input.
        """
        answer = subprocess.run(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments],
            env=self.env, input=typed, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if answer.returncode:
            raise RuntimeError(f"manage.py {' '.join(arguments)} failed:\n{answer.stdout}{answer.stderr}")
        return answer.stdout

    def manage_json(self, *arguments: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.manage(*arguments, "--json").splitlines()[-1])
        return found

    def commands(self, workers: int = 2, threads: int = 4) -> dict[str, list[str]]:
        """Its programs by role: web as in ``deploy/gunicorn.conf.py``, one worker, one scheduler."""
        web = ["gunicorn", "-k", "gthread", "-w", str(workers), "--threads", str(threads), "--keep-alive", "75",
               "-b", f"127.0.0.1:{self.port}", "--log-level", "warning", "portal.wsgi"]  # fmt: skip
        worker = ["celery", "-A", "portal.celery", "worker", "--pool", "threads", "-c", "4", "--without-gossip",
                  "--without-mingle", "--without-heartbeat", "-l", "warning"]  # fmt: skip
        return {
            "web": [sys.executable, "-m", *web],
            "worker": [sys.executable, "-m", *worker],
            "scheduler": [sys.executable, str(settings.BASE_DIR / "manage.py"), "scheduler"],
        }

    def start(self, workers: int = 2, threads: int = 4) -> None:
        """Start its programs and wait until the web process is ready."""
        for name, command in self.commands(workers, threads).items():
            with (self.folder / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    command,
                    env=self.env,
                    stdout=log,
                    stderr=log,
                    cwd=settings.BASE_DIR,
                    start_new_session=True,
                )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until the web process says that it is ready.

        Raises:
            RuntimeError: not within a minute.
        """
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/health/ready", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.2)
        raise RuntimeError(f"The web process is not ready: {(self.folder / 'web.log').read_text()[-2000:]}")

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def members(self) -> dict[str, list[int]]:
        """Process ids by role, children included."""
        return {name: [process.pid, *_children(process.pid)] for name, process in self.processes.items()}

    def cpu_seconds(self) -> float:
        """CPU time that all its processes have used."""
        ticks = 0
        for pids in self.members().values():
            for pid in pids:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def largest_web_process(self) -> float:
        """Resident memory of the largest web process, in MB."""
        sizes = []
        for pid in self.members()["web"]:
            status = Path(f"/proc/{pid}/status").read_text()
            sizes += [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")]
        return max(sizes)


def _children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        if int(fields[1]) == pid:
            child = int(path.parent.name)
            found += [child, *_children(child)]
    return found


@contextmanager
def throw_away_installation() -> Iterator[Installation]:
    """An installation in a temporary folder, on a new database beside the one of ``DATABASE_URL``, else SQLite."""
    url = os.environ.get("DATABASE_URL", "")
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as folder:
        if not url.startswith("postgres"):
            installation = Installation(Path(folder), f"sqlite:///{folder}/bench.sqlite3")
            try:
                yield installation
            finally:
                installation.stop()
            return
        name = f"callboard_bench_{os.getpid()}"
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        installation = Installation(Path(folder), urlunsplit(urlsplit(url)._replace(path=f"/{name}")))
        try:
            yield installation
        finally:
            installation.stop()
            with psycopg.connect(url, autocommit=True) as server:
                server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
