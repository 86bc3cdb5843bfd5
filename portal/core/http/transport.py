"""How bytes get to a server: only to approved addresses, and never longer than the deadline.

The guard sits where the connection is made. The pool names a host, the guard resolves and approves it, and the
socket is opened to an approved address; TLS and the Host header still use the name.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import certifi
import httpcore
import httpx

from portal.core.egress import EgressPolicy, approve
from portal.core.process import CancelledError

#: How long a read may block before the cancel flag is looked at again, in seconds.
CANCEL_INTERVAL = 0.5


@dataclass(frozen=True, slots=True)
class Budget:
    """What one request may use, through all its redirects and retries."""

    deadline: float
    cancelled: Callable[[], bool] | None = None

    def left(self) -> float:
        """Seconds left.

        Raises:
            httpcore.ReadTimeout: none are.
            CancelledError: the work was cancelled.
        """
        if self.cancelled is not None and self.cancelled():
            raise CancelledError("The request was cancelled.")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("deadline")
        return left


#: The budget of the request that this thread is making: streams outlive requests, so it cannot live in them.
budget: ContextVar[Budget] = ContextVar("http_budget")


class GuardedTransport(httpx.BaseTransport):
    """A pool of connections that all went through the egress guard."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls_context(),
            max_connections=32,
            max_keepalive_connections=8,
            keepalive_expiry=15,
            network_backend=_GuardedBackend(policy),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions
        )

    def close(self) -> None:
        self._pool.close()


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """The authorities: those of ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` where set, else the public ones."""
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context()
    return ssl.create_default_context(cafile=certifi.where())


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


class _GuardedBackend(httpcore.NetworkBackend):
    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        approved = approve(host, port, self._policy, timeout=budget.get().left())
        problem: Exception | None = None
        for tries_left, address in zip(
            range(len(approved.addresses), 0, -1), approved.addresses, strict=True
        ):
            try:
                stream = self._backend.connect_tcp(
                    address, port, timeout=budget.get().left() / tries_left, socket_options=socket_options
                )
                return _BoundedStream(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem or httpcore.ConnectError("no address")


class _BoundedStream(httpcore.NetworkStream):
    """A stream whose every wait ends with the budget: neither a silent nor a dripping server holds us."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            left = budget.get().left()
            if budget.get().cancelled is None:
                return self._stream.read(max_bytes, left)
            try:
                return self._stream.read(max_bytes, min(left, CANCEL_INTERVAL))
            except httpcore.ReadTimeout:
                continue  # left() decides whether this was the end or only time to look at the flag

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), 65536):
            self._stream.write(buffer[start : start + 65536], budget.get().left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, budget.get().left()))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
