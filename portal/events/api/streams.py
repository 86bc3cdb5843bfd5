"""Event streams: one poller of the database for each process, fanned out to all that listen.

The poller is a thread. It keeps the newest events in memory and wakes the streams, which take what they were not given
yet; a stream that is further behind reads pages from the database like anybody. Nothing is queued for a stream, so a
slow client costs no memory and misses nothing.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from types import FrameType
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from portal.access.services.current import current_viewers
from portal.access.viewer import Viewer
from portal.events.cursors import seal_cursor
from portal.events.exceptions import CursorGoneError, StreamUnavailableError
from portal.events.filters import EventFilter
from portal.events.metrics import STREAMS, STREAMS_REFUSED
from portal.events.selectors import LARGEST_LIMIT, FeedPage, FeedRow, feed_page, sealed_after, seen_by
from portal.events.services.messages import event_json

log = structlog.get_logger(__name__)
#: Seconds between two looks at the outbox, at who may still listen, and between two signs of life.
POLL_SECONDS = 0.5
CHECK_SECONDS = 2.0
HEARTBEAT_SECONDS = 15.0
#: Milliseconds after which a client comes back when a stream ends.
RETRY_MILLISECONDS = 3_000
#: Newest events that a process keeps in memory for its streams.
KEPT = 5_000
#: Threads that read for streams which are behind, or narrow by the rules of types.
READERS = 2


@dataclass(eq=False)
class Listener:
    """One open stream.

    Attributes:
        viewer: with whose eyes it sees; renewed every few seconds.
        session_key: of the browser's session that opened it; empty for a token.
        wanted: its filter.
        position: the last event that it was given or that was not for it.
        ended: whether it should end: shutdown, or its person may no longer listen.
    """

    viewer: Viewer
    session_key: str
    wanted: EventFilter
    position: int
    ended: bool = False
    loop: asyncio.AbstractEventLoop | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """From any thread."""
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.news.set)


class Hub:
    """The streams of this process and the thread that polls for them, which lives as long as there is a stream."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._recent: deque[FeedRow] = deque(maxlen=KEPT)
        self._poller: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._chained = False
        self.closing = False
        self.newest = 0

    def __len__(self) -> int:
        return len(self._listeners)

    def join(self, listener: Listener, newest: int) -> None:
        """Take a place.

        Args:
            newest: position from which on events are remembered, where this stream is the first.

        Raises:
            StreamUnavailableError: all are taken, or the process is about to end.
        """
        with self._lock:
            if self.closing or len(self._listeners) >= settings.CALLBOARD_EVENT_STREAMS:
                STREAMS_REFUSED.inc()
                raise StreamUnavailableError(
                    "This process holds as many event streams as it may.",
                    remedy="Try again in a few seconds; an operator can raise CALLBOARD_EVENT_STREAMS or start"
                    " more event processes. The JSON feed at /api/events/v1/events works meanwhile.",
                )
            self._listeners.add(listener)
            STREAMS.set(len(self._listeners))
            if self._poller is None:
                self._recent.clear()
                self.newest = newest
                self._poller = threading.Thread(target=self._poll, name="events-poller", daemon=True)
                self._poller.start()
            if self._readers is None:
                self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="events-reader")

    def leave(self, listener: Listener) -> None:
        """Give the place back; once or more often."""
        with self._lock:
            self._listeners.discard(listener)
            STREAMS.set(len(self._listeners))

    def since(self, position: int) -> list[FeedRow] | None:
        """Events after ``position`` that are in memory, none where it has all; None where memory begins later."""
        with self._lock:
            if position >= self.newest:
                return []
            if not self._recent or self._recent[0].position > position + 1:
                return None
            return list(islice(self._recent, position + 1 - self._recent[0].position, None))

    async def read(self, work: Callable[[], Any]) -> Any:
        """Do something with the database in a thread that keeps its connection."""
        if self._readers is None:
            raise RuntimeError("nobody listens")
        return await asyncio.get_running_loop().run_in_executor(self._readers, _with_connection, work)

    def end_with_process(self) -> None:
        """End all streams when the server is asked to stop: it waits for them. Call it in the server's main thread."""
        if self._chained or threading.current_thread() is not threading.main_thread():
            return
        self._chained = True
        for number in (signal.SIGTERM, signal.SIGINT):
            self._chain(number)

    def _chain(self, number: signal.Signals) -> None:
        before = signal.getsignal(number)

        def stop(signum: int, frame: FrameType | None) -> None:
            self.closing = True
            for listener in list(self._listeners):
                listener.ended = True
                listener.wake()
            if callable(before):
                before(signum, frame)
            elif before == signal.SIG_DFL:
                signal.signal(signum, signal.SIG_DFL)
                signal.raise_signal(signum)

        signal.signal(number, stop)

    # ------------------------------------------------------------------------------------------------- the poller

    def _poll(self) -> None:
        checked = time.monotonic()
        try:
            while True:
                with self._lock:
                    if not self._listeners:
                        self._poller = None
                        return
                try:
                    close_old_connections()
                    news = self._take_news()
                    if time.monotonic() - checked >= CHECK_SECONDS:
                        checked = time.monotonic()
                        self._check_listeners()
                except Exception:
                    # A database that restarts, or a defect in a rule: streams stay open and get what they missed.
                    log.exception("event_poll_failed")
                    connection.close()
                    news = False
                    time.sleep(POLL_SECONDS)
                if news:
                    for listener in list(self._listeners):
                        listener.wake()
                time.sleep(POLL_SECONDS)
        finally:
            connection.close()

    def _take_news(self) -> bool:
        """Read what was sealed since the last time. Whether there was anything."""
        any_news = False
        while rows := sealed_after(self.newest, LARGEST_LIMIT):
            any_news = True
            with self._lock:
                self._recent.extend(rows)
                self.newest = rows[-1].position
            if len(rows) < LARGEST_LIMIT:
                break
        return any_news

    def _check_listeners(self) -> None:
        """End streams of revoked tokens, people who may not sign in any more and sessions that are over."""
        listeners = list(self._listeners)
        viewers = current_viewers({listener.viewer for listener in listeners})
        keys = {listener.session_key for listener in listeners if listener.session_key}
        sessions = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
        alive = set(sessions.values_list("session_key", flat=True)) if keys else set()
        for listener in listeners:
            viewer = viewers.get(listener.viewer)
            if viewer is None or (listener.session_key and listener.session_key not in alive):
                listener.ended = True
                listener.wake()
            else:
                listener.viewer = viewer


hub = Hub()


def _with_connection(work: Callable[[], Any]) -> Any:
    close_old_connections()
    try:
        return work()
    except DatabaseError:
        connection.close()
        raise


class EventStream:
    """The body of an answer that stays open. Gives its place back however it ends, also when it never begins."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def close(self) -> None:
        hub.leave(self._listener)

    def __del__(self) -> None:
        self.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        listener = self._listener
        listener.loop = asyncio.get_running_loop()
        hub.end_with_process()
        try:
            yield f"retry: {RETRY_MILLISECONDS}\n{_sign_of_life(listener.position)}".encode()
            async for part in _parts(listener):
                yield part
        finally:
            self.close()


async def _parts(listener: Listener) -> AsyncIterator[bytes]:
    spoken = time.monotonic()
    while not listener.ended:
        listener.news.clear()
        try:
            rows, more = await _next(listener)
        except CursorGoneError as error:
            body = {"code": error.code, "message": error.message, "remedy": error.remedy}
            yield b"event: error\ndata: " + orjson.dumps(body) + b"\n\n"
            return
        except DatabaseError:
            log.warning("event_stream_waits_for_database", exc_info=True)
            await asyncio.sleep(POLL_SECONDS)
            continue
        if rows and not listener.ended:
            spoken = time.monotonic()
            yield b"".join(map(_message, rows))
        if more:
            continue
        left = HEARTBEAT_SECONDS - (time.monotonic() - spoken)
        if left <= 0:
            spoken = time.monotonic()
            yield _sign_of_life(listener.position).encode()
            continue
        try:
            await asyncio.wait_for(listener.news.wait(), left)
        except TimeoutError:
            continue


async def _next(listener: Listener) -> tuple[list[FeedRow], bool]:
    """What comes next, and whether there may be more at once. Moves the position past everything it looked at."""
    viewer, wanted, position = listener.viewer, listener.wanted, listener.position
    recent = hub.since(position)
    if recent is None:
        page: FeedPage = await hub.read(lambda: feed_page(viewer, position, wanted, LARGEST_LIMIT))
        listener.position = page.position
        return page.rows, page.has_more
    if not recent:
        return [], False
    part = recent[:LARGEST_LIMIT]
    rows = [row for row in part if wanted.matches(row.type, row.subject)]
    if rows and not viewer.is_system:
        rows = await hub.read(lambda: seen_by(viewer, rows))
    listener.position = part[-1].position
    return rows, len(recent) > len(part)


def _message(row: FeedRow) -> bytes:
    """One event; the id is a cursor, which a client sends back as Last-Event-ID."""
    event = event_json(uid=row.uid, type=row.type, subject=row.subject, data=row.data, at=row.at)
    return b"".join(
        (
            f"id: {seal_cursor(row.position)}\nevent: {row.type}\ndata: ".encode(),
            orjson.dumps(event),
            b"\n\n",
        )
    )


def _sign_of_life(position: int) -> str:
    """A comment for proxies, and the cursor for clients whose filter lets nothing through."""
    return f": alive\nid: {seal_cursor(position)}\n\n"
