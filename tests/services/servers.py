"""Real PostgreSQL and Redis servers for tests: their addresses, for as long as a block runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from catalog.bench import servers
from catalog.bench.servers import ServerFailedError, free_port, postgresql_folder, redis_program

__all__ = [
    "ServerFailedError",
    "free_port",
    "postgresql",
    "postgresql_folder",
    "redis_program",
    "redis_server",
]


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database, as ``DATABASE_URL`` wants it. No durability, so that tests are fast.

    Raises:
        ServerFailedError: it is not installed or does not start.
    """
    with servers.postgresql() as server:
        yield server.url


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a Redis server without persistence, as ``REDIS_URL`` wants it.

    Raises:
        ServerFailedError: it is not installed or does not start.
    """
    with servers.redis_server() as server:
        yield server.url
