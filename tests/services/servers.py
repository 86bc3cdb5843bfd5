"""Real PostgreSQL and Redis servers for tests: own folder, own port, no durability, gone afterwards."""

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


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """Runs a PostgreSQL cluster; the value is the URL of an empty database, as ``DATABASE_URL`` wants it.

    The cluster sorts text by code point (locale C.UTF-8), as production should. PostgreSQL refuses to run as root,
    so root starts it as the user ``postgres``, which its package makes.

    Raises:
        ServerFailedError: it is not installed or does not start.
    """
    binaries = postgresql_folder()
    if binaries is None:
        raise ServerFailedError("PostgreSQL is not installed: found no initdb.")
    with tempfile.TemporaryDirectory(prefix="callboard-pg-") as name:
        folder = Path(name)
        as_user: dict[str, object] = {
            "cwd": name,
            "env": {"PATH": f"{binaries}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        }
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
            as_user |= {"user": "postgres", "group": "postgres", "extra_groups": []}
        data, port = folder / "data", free_port()
        made = subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "callboard", "-A", "trust", "-E", "UTF8", "--no-sync"],
            capture_output=True,
            text=True,
            check=False,
            **as_user,
        )
        if made.returncode:
            raise ServerFailedError(f"initdb failed: {made.stderr}")
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": name,
            "max_connections": "200",
            "shared_buffers": "256MB",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_wal_size": "2GB",
            "jit": "off",
        }
        arguments = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                **as_user,
            )
        try:
            _wait_for(
                server, folder / "log", binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)
            )
            # The database is not "postgres", so that tests may drop and make others beside it.
            subprocess.run(
                [binaries / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "callboard", "callboard"],
                check=True,
                capture_output=True,
            )
            yield f"postgresql://callboard@127.0.0.1:{port}/callboard"
        finally:
            _stop(server, signal.SIGINT)  # the "fast" shutdown: open connections are cut


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """Runs a Redis server without persistence; the value is its URL, as ``REDIS_URL`` wants it.

    Raises:
        ServerFailedError: it is not installed or does not start.
    """
    program = redis_program()
    if program is None:
        raise ServerFailedError("Redis is not installed: found no redis-server.")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="callboard-redis-") as name:
        log_file = Path(name) / "log"
        with log_file.open("wb") as log:
            server = subprocess.Popen(
                [
                    program,
                    "--port",
                    str(port),
                    "--bind",
                    "127.0.0.1",
                    "--save",
                    "",
                    "--appendonly",
                    "no",
                    "--dir",
                    name,
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_for(server, log_file, None, str(port))
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            _stop(server, signal.SIGTERM)


def _wait_for(server: subprocess.Popen[bytes], log: Path, asks: Path | None, *arguments: str) -> None:
    """Waits until the server answers: ``asks`` ends with 0, or without it the port takes a connection."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            raise ServerFailedError(
                f"The server ended with {server.returncode}: {log.read_text(errors='replace')}"
            )
        if asks is not None:
            if subprocess.run([asks, *arguments], check=False).returncode == 0:
                return
        else:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(arguments[0])), 1):
                return
        time.sleep(0.05)
    raise ServerFailedError(
        f"The server did not answer in {_START_SECONDS} s: {log.read_text(errors='replace')}"
    )


def _stop(server: subprocess.Popen[bytes], how: signal.Signals) -> None:
    server.send_signal(how)
    try:
        server.wait(15)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
