"""The gate between readers and hosts: the breaker is asked, the rate budget kept, every outcome noted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from portal.connections.hosts import Call, HostConfig
from portal.connections.models import Connection
from portal.connections.services import hold_off, let_through, note_failure, note_success, reserve_call
from portal.core.errors import (
    CallboardError,
    NotFoundError,
    ServiceUnavailableError,
    TimedOutError,
    TooLargeError,
)
from portal.core.git import GitRefusedError
from portal.core.http import HttpStatusError
from portal.core.process import CancelledError

REASON = "readers of every source keep away from a host that fails"
#: Waiting for a turn may not outlast the lock on a Git cache, which others wait for.
LONGEST_WAIT = timedelta(seconds=60)
#: Seconds after which a gate looks again at what other processes noted.
LOOK_AGAIN = 10.0
CANCEL_INTERVAL = 0.2
# Errors of our own machine or configuration.
_NOT_THE_HOST = frozenset({"process.missing", "git.redirect"})


@dataclass(slots=True)
class _Door:
    """What a gate knows of one connection."""

    row: Connection
    looked: float
    shut: bool = False
    well: bool = False  # success was noted, and nothing else since


class ConnectionGate:
    """The gate of one session, for hosts with a connection; the built-in ones are free. Not for several threads.

    Args:
        cancelled: looked at while waiting; true ends the work with :class:`CancelledError`.
        longest_wait: for the turn of one call.
    """

    def __init__(
        self,
        *,
        cancelled: Callable[[], bool] = lambda: False,
        longest_wait: timedelta = LONGEST_WAIT,
    ) -> None:
        self._cancelled = cancelled
        self._longest_wait = longest_wait
        self._doors: dict[str, _Door] = {}

    @contextmanager
    def call(self, config: HostConfig) -> Iterator[Call]:
        """As :meth:`portal.connections.hosts.Gate.call`."""
        door = self._door(config.name) if config.name else None
        call = Call()
        if door is None:
            yield call
            return
        if door.shut:
            raise _resting(door.row)
        self._wait(door)
        try:
            yield call
        except CallboardError as error:
            if isinstance(error, HttpStatusError):
                call.pause = error.pause
            if _is_failure(error):
                self._failed(door, error)
            elif isinstance(error, NotFoundError | HttpStatusError | GitRefusedError | TooLargeError):
                self._answered(door)
            raise
        else:
            self._answered(door)
        finally:
            if call.pause > 0:
                hold_off(connection=door.row, seconds=call.pause)
                door.row = _row(config.name) or door.row

    def _door(self, name: str) -> _Door | None:
        """What is known of a connection, looked up anew from time to time."""
        now = time.monotonic()
        door = self._doors.get(name)
        if door is not None and now - door.looked < LOOK_AGAIN:
            return door
        row = _row(name)
        if row is None:
            return None
        well = door is not None and door.well and not row.failures
        self._doors[name] = _Door(row, now, shut=not let_through(connection=row), well=well)
        return self._doors[name]

    def _wait(self, door: _Door) -> None:
        row = door.row
        if not row.rate_per_minute and (row.next_call_at is None or row.next_call_at <= timezone.now()):
            return
        start = reserve_call(connection=row, longest=self._longest_wait)
        while (left := (start - timezone.now()).total_seconds()) > 0:
            if self._cancelled():
                raise CancelledError("Waiting for a host was cancelled.")
            time.sleep(min(left, CANCEL_INTERVAL))

    def _answered(self, door: _Door) -> None:
        if not door.well:
            note_success(connection=door.row)
            door.well = True

    def _failed(self, door: _Door, error: CallboardError) -> None:
        door.well = False
        if note_failure(connection=door.row, error=error.message):
            door.row, door.shut = _row(door.row.name) or door.row, True


def _row(name: str) -> Connection | None:
    return Connection.objects.unrestricted(REASON).filter(name=name).first()


def _is_failure(error: CallboardError) -> bool:
    """Whether the host is to blame for an error, rather than what was asked for."""
    if isinstance(error, HttpStatusError):
        return error.http_status >= 500
    if isinstance(error, GitRefusedError) or error.code in _NOT_THE_HOST:
        return False
    return isinstance(error, ServiceUnavailableError | TimedOutError)


def _resting(row: Connection) -> ServiceUnavailableError:
    last = f"{row.last_ok_at:%Y-%m-%d %H:%M:%S} UTC" if row.last_ok_at else "never"
    until = f"{row.open_until:%H:%M:%S} UTC" if row.open_until else "it answers again"
    return ServiceUnavailableError(
        f"The connection {row.name} is left alone until {until}: {row.host} failed {row.failures} times in a row;"
        f" it last answered: {last}. The last error: {row.last_error}",
        code="connections.open",
        remedy=f"See to the host; then choose Check on the connection {row.name} in the admin, or wait.",
    )
