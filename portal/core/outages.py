"""What a failing database, disk or Redis means in words: it is nobody's mistake, and it passes."""

from __future__ import annotations

import errno

import redis
from django.db import InterfaceError, OperationalError

from portal.core.errors import ServiceUnavailableError

#: Seconds after which a client may ask again.
RETRY_AFTER = 5
_FULL = (errno.ENOSPC, errno.EDQUOT)
#: Texts of SQLite, which has no codes here. A full disk shows in several ways, as its files are of several sorts.
_SQLITE_FULL = ("database or disk is full", "disk I/O error", "unable to open database file")
_SQLITE_LOCKED = ("database is locked", "database table is locked")
#: Classes of SQLSTATE: connection, resources, operator intervention (but no cancelled statement).
_POSTGRESQL_AWAY = ("08", "53", "57P")
#: Two transactions that could not both go on: this one was undone whole.
_POSTGRESQL_BUSY = ("40001", "40P01", "55P03")


def outage_of(error: BaseException) -> ServiceUnavailableError | None:
    """The error to show for one that says that something below us is away or full; None for any other one.

    Looks at what it was raised from as well, but not at what was being handled then: that may be a defect of ours.
    """
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, ServiceUnavailableError):
            return one
        if isinstance(one, OSError) and one.errno in _FULL:
            return _disk_full()
        if isinstance(one, redis.ConnectionError | redis.TimeoutError):
            return ServiceUnavailableError(
                "Redis does not answer just now, and this needs it.",
                code="cache.away",
                remedy="Try again in a minute. Nothing that was stored is lost, and queued work goes on by itself.",
            )
        if isinstance(one, OperationalError | InterfaceError) and (found := _of_database(one)) is not None:
            return found
        one = one.__cause__
    return None


def _of_database(error: Exception) -> ServiceUnavailableError | None:
    text = str(error)
    if any(words in text for words in _SQLITE_FULL):
        return _disk_full()
    if any(words in text for words in _SQLITE_LOCKED):
        return _busy()
    cause = error.__cause__
    if not type(cause).__module__.startswith("psycopg"):
        return None
    state = getattr(cause, "sqlstate", None)
    if state in _POSTGRESQL_BUSY:
        return _busy()
    if state is None or state.startswith(_POSTGRESQL_AWAY):  # without a state nobody answered
        return ServiceUnavailableError(
            "The database does not answer just now.",
            code="database.away",
            remedy="Try again in a minute. Nothing that was stored is lost, and queued work goes on by itself.",
        )
    return None


def _busy() -> ServiceUnavailableError:
    return ServiceUnavailableError(
        "The database is busy just now.", code="database.busy", remedy="Try again in a few seconds."
    )


def _disk_full() -> ServiceUnavailableError:
    return ServiceUnavailableError(
        "The disk of the server has no room, so nothing can be stored just now.",
        code="storage.full",
        remedy="An operator has to make room on the disk of the data folder. Nothing that was stored is lost, "
        "and everything goes on by itself then.",
    )
