"""Real PostgreSQL and Redis servers for measuring and tests: own folder, own port, gone afterwards.

They can be ended without warning and started again on the same port with the same data.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Where distributions keep server programs that are not on the search path; newest first once sorted.
_POSTGRESQL_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
_START_SECONDS = 30


class ServerFailedError(Exception):
    """A server did not start; the text holds what it said."""


def postgresql_folder() -> Path | None:
    """The folder with ``initdb`` and ``postgres``, newest version first, or None where it is not installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = [
        f for pattern in _POSTGRESQL_FOLDERS for f in Path("/").glob(pattern[1:]) if (f / "initdb").exists()
    ]
    return max(folders, key=_version, default=None)


def _version(folder: Path) -> list[int]:
    return [int("".join(filter(str.isdigit, part)) or 0) for part in folder.parent.name.split(".")]


def redis_program() -> str | None:
    """The Redis (or Valkey) server program, or None where it is not installed."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


def free_port() -> int:
    """A port of the loopback address that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A server program in a folder of its own. The folder goes with :meth:`remove`."""

    name = ""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"callboard-{self.name}-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ServerFailedError: it does not.
        """
        log = self.folder / "log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command(), stdout=out, stderr=subprocess.STDOUT, **self._as_user()
            )
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise ServerFailedError(
                    f"The server ended with {self._process.returncode}: {log.read_text(errors='replace')}"
                )
            if self._answers():
                return
            time.sleep(0.05)
        raise ServerFailedError(
            f"The server did not answer in {_START_SECONDS} s: {log.read_text(errors='replace')}"
        )

    def stop(self, how: signal.Signals) -> None:
        """End it by a signal, and wait until it is gone."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def remove(self) -> None:
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _as_user(self) -> dict[str, Any]:
        return {}

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


class PostgreSQL(Server):
    """A PostgreSQL cluster with an empty database ``callboard``, which sorts text by code point as production should.

    PostgreSQL refuses to run as root, so root starts it as the user ``postgres``, which its package makes.

    Args:
        durable: what was committed outlives an immediate stop of the server; else it is faster.

    Raises:
        ServerFailedError: it is not installed or cannot be set up.
    """

    name = "pg"

    def __init__(self, *, durable: bool = False) -> None:
        binaries = postgresql_folder()
        if binaries is None:
            raise ServerFailedError("PostgreSQL is not installed: found no initdb.")
        super().__init__()
        self._binaries, self._durable = binaries, durable
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self._run("initdb", "-D", "data", "-U", "callboard", "-A", "trust", "-E", "UTF8", "--no-sync")

    @property
    def url(self) -> str:
        """As ``DATABASE_URL`` wants it."""
        return f"postgresql://callboard@127.0.0.1:{self.port}/callboard"

    def create_database(self, name: str = "callboard") -> str:
        """Make a database; returns its URL. It is never "postgres", so that others can be made beside it."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "callboard", name)
        return self.url.removesuffix("callboard") + name

    def _run(self, program: str, *arguments: str) -> None:
        made = subprocess.run(
            [self._binaries / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            **self._as_user(),
        )
        if made.returncode:
            raise ServerFailedError(f"{program} failed: {made.stderr}")

    def _command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "shared_buffers": "256MB",
            "fsync": "off",  # only a machine that stops would make a difference
            "synchronous_commit": "on" if self._durable else "off",
            "full_page_writes": "off",
            "max_wal_size": "2GB",
            "jit": "off",
        }
        arguments = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        return [str(self._binaries / "postgres"), "-D", str(self.folder / "data"), *arguments]

    def _as_user(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "cwd": self.folder,
            "env": {"PATH": f"{self._binaries}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        }
        if os.geteuid() == 0:
            values |= {"user": "postgres", "group": "postgres", "extra_groups": []}
        return values

    def _answers(self) -> bool:
        asked = [str(self._binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0


class Redis(Server):
    """A Redis server without persistence.

    Raises:
        ServerFailedError: it is not installed.
    """

    name = "redis"

    def __init__(self) -> None:
        program = redis_program()
        if program is None:
            raise ServerFailedError("Redis is not installed: found no redis-server.")
        self._program = program
        super().__init__()

    @property
    def url(self) -> str:
        """As ``REDIS_URL`` wants it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def _command(self) -> list[str]:
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        return [self._program, *place, "--save", "", "--appendonly", "no"]


@contextlib.contextmanager
def postgresql(*, durable: bool = False) -> Iterator[PostgreSQL]:
    """A PostgreSQL server with its database, running.

    Raises:
        ServerFailedError: it is not installed or does not start.
    """
    server = PostgreSQL(durable=durable)
    try:
        server.start()
        server.create_database()
        yield server
    finally:
        server.stop(signal.SIGINT)  # the "fast" shutdown: open connections are cut
        server.remove()


@contextlib.contextmanager
def redis_server() -> Iterator[Redis]:
    """A Redis server, running.

    Raises:
        ServerFailedError: it is not installed or does not start.
    """
    server = Redis()
    try:
        server.start()
        yield server
    finally:
        server.stop(signal.SIGTERM)
        server.remove()
