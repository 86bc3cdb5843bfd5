"""Programs outside that follow the events: one reads pages of the feed, one is sent them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import orjson

from catalog.bench.faults.client import Client, NoAnswerError

EVENTS = "/api/events/v1/events"
SUBSCRIPTIONS = "/api/events/v1/subscriptions"
#: (id, type, subject)
Sealed = tuple[str, str, str]


class Follower(threading.Thread):
    """Reads the feed over HTTP from the first event on; all it keeps is the cursor of the last page that arrived.

    Attributes:
        seen: ids as they came.
    """

    pause = 0.2

    def __init__(self, client: Client) -> None:
        super().__init__(daemon=True)
        self.seen: list[str] = []
        self._client, self._cursor = client, ""
        self._over = threading.Event()

    def run(self) -> None:
        more = False
        while not self._over.wait(0 if more else self.pause):
            try:
                more = self._page()
            except NoAnswerError:
                continue  # whoever else asks says so

    def _page(self) -> bool:
        cursor = f"&cursor={quote(self._cursor)}" if self._cursor else ""
        answer = self._client.ask("GET", f"{EVENTS}?limit=500{cursor}")
        if not answer.is_success:
            return False  # cannot be: shows as events that were missed
        page = answer.json()
        self.seen += [event["id"] for event in page["items"]]
        self._cursor = page["nextCursor"]
        more: bool = page["hasMore"]
        return more

    def has_all(self, sealed: list[Sealed]) -> bool:
        return len(self.seen) >= len(sealed)

    def missed(self, sealed: list[Sealed]) -> list[str]:
        """What it saw otherwise than each event once, in order."""
        return differing(self.seen, sealed)

    def stop(self) -> None:
        self._over.set()
        self.join(10)


class Receiver:
    """A webhook's other end, on loopback: writes down each arrival.

    Attributes:
        arrived: ``webhook-id`` of each, as they came.
        wrong: what a receiver has to complain about.
    """

    types = ("catalog.entity.*",)
    subjects = ("component:default/kept-*", "component:default/pushed-*")

    def __init__(self) -> None:
        self.arrived: list[str] = []
        self.wrong: list[str] = []
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def subscribe(self, client: Client) -> None:
        body = {
            "name": "bench", "url": f"http://{self.address}/", "start": "oldest",
            "types": list(self.types), "subjects": list(self.subjects),
        }  # fmt: skip
        client.ask("POST", SUBSCRIPTIONS, body).raise_for_status()

    def wanted(self, sealed: Iterable[Sealed]) -> list[Sealed]:
        """The events that it is to be sent."""
        return [
            (id, kind, subject)
            for id, kind, subject in sealed
            if any(fnmatchcase(kind, one) for one in self.types)
            and any(fnmatchcase(subject, one) for one in self.subjects)
        ]

    def has_all(self, sealed: list[Sealed]) -> bool:
        return {id for id, _, _ in self.wanted(sealed)} <= set(self.arrived)

    def missed(self, sealed: list[Sealed]) -> list[str]:
        """What arrived otherwise than each event at least once, for the first time in order."""
        return [*self.wrong[:5], *differing(list(dict.fromkeys(self.arrived)), self.wanted(sealed))]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                id = self.headers.get("webhook-id", "")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if orjson.loads(body)["id"] != id:
                    receiver.wrong.append(f"{id} brought {body[:200]!r}")
                receiver.arrived.append(id)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Nobody reads it."""

        return Handler


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that was killed leaves its connection broken: what it sent again is what counts."""


def differing(seen: list[str], events: list[Sealed]) -> list[str]:
    """One sentence where what was seen is not what there was to see, each once and in order."""
    wanted = [id for id, _, _ in events]
    if seen == wanted:
        return []
    known = set(seen)
    missed = [f"{kind} {subject}" for id, kind, subject in events if id not in known]
    such = f" ({', '.join(missed[:3])})" if missed else ""
    strange, twice = len(known - set(wanted)), len(seen) - len(known)
    order = "" if missed or strange or twice else ", not in order"
    return [
        f"{len(missed)} of {len(wanted)} events were missed{such}, {twice} came twice, {strange} unasked{order}"
    ]
