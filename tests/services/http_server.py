"""Small servers on loopback that answer as a test tells them, or misbehave at the level of sockets."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reply:
    """An answer: status, headers, body."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Seen:
    """A request that arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server:
    """Answers each request by ``answer(seen)`` and remembers it.

    Attributes:
        seen: all requests, in order of arrival.
        connections: how many TCP connections were accepted.
    """

    def __init__(self, answer: Callable[[Seen], Reply], tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.seen: list[Seen] = []
        self.connections = 0
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                owner.connections += 1
                super().setup()

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen = Seen(self.command, self.path, headers, self.rfile.read(length))
                owner.seen.append(seen)
                reply = owner.answer(seen)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in reply.headers and "Transfer-Encoding" not in reply.headers:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if self.command != "HEAD":
                    with contextlib.suppress(ConnectionError):  # the client may have seen enough
                        self.wfile.write(reply.body)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        if tls is not None:
            self.httpd.socket = tls.wrap_socket(self.httpd.socket, server_side=True)
        self.port = self.httpd.server_address[1]
        self.base = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving(answer: Callable[[Seen], Reply], tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Run a :class:`Server` in a thread until the block ends."""
    server = Server(answer, tls)
    thread = threading.Thread(target=server.httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.httpd.shutdown()
        server.httpd.server_close()
        thread.join()


@contextlib.contextmanager
def raw_serving(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """Accept TCP connections and let ``talk(connection, over)`` do as it likes; yields the port.

    ``over`` is set when the test ended: a server that hangs waits for it instead of sleeping.
    """
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            talk(connection, over)

    def accept() -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                thread = threading.Thread(target=one, args=(connection,), daemon=True)
                thread.start()
                threads.append(thread)

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        acceptor.join()
        listener.close()
        for thread in threads:
            thread.join(5)


def hang(connection: socket.socket, over: threading.Event) -> None:
    """Take the connection and never say a word."""
    over.wait(60)


def drip(data: bytes, interval: float) -> Callable[[socket.socket, threading.Event], None]:
    """Send ``data`` at once and then one byte every ``interval`` seconds, for ever."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(data)
        while not over.wait(interval):
            connection.sendall(b"x")

    return talk
