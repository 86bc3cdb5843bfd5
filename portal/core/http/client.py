"""Requests: redirects, conditions, limits, retries and errors with place, rule and remedy."""

from __future__ import annotations

import base64
import random
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urldefrag, urljoin

import httpcore
import httpx
import stamina

from portal.core.context import request_id
from portal.core.egress import EgressPolicy
from portal.core.errors import (
    CallboardError,
    EgressRefusedError,
    InputError,
    TimedOutError,
)
from portal.core.http.body import read_body
from portal.core.http.response import HttpStatusError, HttpUnreachableError, Response
from portal.core.http.transport import Budget, GuardedTransport, budget
from portal.core.http.urls import check_url, mask_url, origin

#: Seconds for one request with all its redirects and retries.
TIMEOUT = 30.0
#: Bytes of a body, before and after decompression.
MAX_BYTES = 10 * 1024 * 1024
MAX_REDIRECTS = 5
ATTEMPTS = 3

_CHANCE = random.SystemRandom()

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRY_AGAIN = frozenset({429, 502, 503, 504})
# All that may follow a redirect to another host; everything else may be a credential under some name.
_HARMLESS_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "user-agent",
        "if-none-match",
        "if-modified-since",
        "x-request-id",
    }
)


def bearer(token: str) -> str:
    """The ``auth`` value for a bearer token."""
    return f"Bearer {token}"


def basic(username: str, password: str) -> str:
    """The ``auth`` value for a user name and password."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


class Client:
    """Keeps connections open between requests that share a policy. Safe to use from several threads.

    Args:
        policy: which addresses may be reached.
        timeout: seconds for one request with everything it takes.
        max_bytes: bytes of a body.
        cancelled: looked at while waiting; true ends the request with :class:`CancelledError`.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        timeout: float = TIMEOUT,
        max_bytes: int = MAX_BYTES,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self.timeout = timeout
        self.max_bytes = max_bytes
        self.cancelled = cancelled
        self._http = httpx.Client(transport=GuardedTransport(policy), trust_env=False, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(
        self,
        url: str,
        *,
        etag: str = "",
        last_modified: str = "",
        headers: Mapping[str, str] | None = None,
        auth: str | None = None,
        timeout: float | None = None,
        max_bytes: int | None = None,
        max_redirects: int = MAX_REDIRECTS,
    ) -> Response:
        """Read a URL; with ``etag`` or ``last_modified`` only if it changed (``not_modified``, empty body).

        Raises:
            NotFoundError: 404 or 410.
            HttpStatusError: any other answer that is no success.
            and what :meth:`request` raises.
        """
        conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        response = self.request(
            "GET",
            url,
            headers={**(headers or {}), **{name: value for name, value in conditions.items() if value}},
            auth=auth,
            timeout=timeout,
            max_bytes=max_bytes,
            max_redirects=max_redirects,
        )
        response.raise_for_status()
        return response

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        auth: str | None = None,
        timeout: float | None = None,
        max_bytes: int | None = None,
        max_redirects: int = 0,
        attempts: int | None = None,
    ) -> Response:
        """Make a request and return the complete answer, whatever its status.

        Idempotent requests are tried again after a lost connection and after 429, 502, 503 and 504, as long
        as the time allows. A redirect is checked like the first URL; to another host (or port, or scheme) it
        takes neither ``auth`` nor any header but harmless ones along. It never leads from https to http.

        Args:
            method: such as ``GET``.
            url: absolute, http or https, without user and password.
            headers: sent as they are.
            content: the body.
            auth: value of the Authorization header, made by :func:`bearer` or :func:`basic`.
            timeout: seconds for everything; the client's by default.
            max_bytes: bytes of the answer's body; the client's by default.
            max_redirects: redirects that are followed; with 0 a redirect is the answer.
            attempts: tries in all; by default 3 for idempotent methods, else 1.

        Raises:
            EgressRefusedError: the URL, or one it redirects to, is at an address that may not be reached.
            TimedOutError: time is up.
            TooLargeError: the body is larger than ``max_bytes``.
            HttpUnreachableError: no connection, no valid certificate, no complete answer.
            InputError: not a URL or header that can be sent.
        """
        check_url(url)
        _check_headers({**(headers or {}), "Authorization": auth or ""})
        seconds = self.timeout if timeout is None else timeout
        call = _Call(
            http=self._http,
            method=method.upper(),
            headers={name.lower(): value for name, value in (headers or {}).items()},
            content=content,
            auth=auth,
            max_bytes=self.max_bytes if max_bytes is None else max_bytes,
            max_redirects=max_redirects,
            seconds=seconds,
        )
        if attempts is None:
            attempts = ATTEMPTS if call.method in _IDEMPOTENT else 1
        token = budget.set(Budget(time.monotonic() + seconds, self.cancelled))
        try:
            return call.run(url, attempts)
        finally:
            budget.reset(token)


def get(
    url: str, *, policy: EgressPolicy, cancelled: Callable[[], bool] | None = None, **options: Any
) -> Response:
    """One :meth:`Client.get` on a connection of its own."""
    with Client(policy, cancelled=cancelled) as client:
        return client.get(url, **options)


def request(
    method: str,
    url: str,
    *,
    policy: EgressPolicy,
    cancelled: Callable[[], bool] | None = None,
    **options: Any,
) -> Response:
    """One :meth:`Client.request` on a connection of its own."""
    with Client(policy, cancelled=cancelled) as client:
        return client.request(method, url, **options)


class _TryAgain(Exception):
    """This attempt failed in a way that another may not."""

    def __init__(self, outcome: CallboardError | Response, wait: float | None = None) -> None:
        super().__init__(str(outcome) if isinstance(outcome, CallboardError) else f"status {outcome.status}")
        self.outcome = outcome
        self.wait = wait


@dataclass(slots=True)
class _Call:
    """One request on its way through attempts and redirects."""

    http: httpx.Client
    method: str
    headers: dict[str, str]
    content: bytes
    auth: str | None
    max_bytes: int
    max_redirects: int
    seconds: float

    def run(self, url: str, attempts: int) -> Response:
        tried = 0

        def pause(error: Exception) -> bool | float:
            nonlocal tried
            tried += 1
            if not isinstance(error, _TryAgain):
                return False
            # Spread out, so that many clients of one struggling server do not come back at the same moment.
            wait = error.wait if error.wait is not None else 0.1 * 2**tried * _CHANCE.uniform(0.5, 1.5)
            return wait if time.monotonic() + wait < budget.get().deadline else False

        try:
            for attempt in stamina.retry_context(on=pause, attempts=attempts, timeout=None):
                with attempt:
                    return self.follow(url)
        except _TryAgain as last:
            if isinstance(last.outcome, Response):
                return last.outcome
            raise last.outcome from None
        raise AssertionError("the last attempt returns or raises")

    def follow(self, url: str) -> Response:
        method, headers, content, auth = self.method, self.headers, self.content, self.auth
        current = url
        for _ in range(self.max_redirects + 1):
            try:
                response = self.send(method, current, headers, content, auth)
            except EgressRefusedError as refused:
                if current == url:
                    raise
                raise EgressRefusedError(
                    f"{mask_url(url)} redirects to {mask_url(current)}. {refused.message}",
                    remedy=refused.remedy,
                ) from None
            target = response.headers.get("location")
            if self.max_redirects == 0 or response.status not in _REDIRECTS or not target:
                if response.status in _TRY_AGAIN:
                    raise _TryAgain(response, response.pause or None)
                return response
            previous, current = current, _redirect_target(current, target)
            if origin(current) != origin(previous):
                auth, headers = None, {name: headers[name] for name in headers if name in _HARMLESS_HEADERS}
            if response.status == 303 or (response.status in (301, 302) and method == "POST"):
                method, content = "HEAD" if method == "HEAD" else "GET", b""
                headers = {name: headers[name] for name in headers if not name.startswith("content-")}
        raise HttpStatusError(
            f"{mask_url(url)} redirects more than {self.max_redirects} times.",
            http_status=310,
            remedy="Register the address that it finally leads to.",
        )

    def send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes, auth: str | None
    ) -> Response:
        """Make one request to one server and read its answer."""
        shown = mask_url(url)
        sent = {"accept": "*/*", "accept-encoding": "gzip", "user-agent": "Callboard", **headers}
        if auth:
            sent["authorization"] = auth
        if request_id.get():
            sent.setdefault("x-request-id", request_id.get())
        try:
            with self.http.stream(method, url, headers=sent, content=content or None) as answer:
                body = b"" if method == "HEAD" else read_body(answer, self.max_bytes, shown)
                return Response(shown, answer.status_code, answer.headers, body)
        except httpcore.TimeoutException:
            raise TimedOutError(
                f"{shown} did not answer completely within {self.seconds:g} s.",
                code="http.timeout",
                remedy="Check the server; the next attempt may succeed.",
            ) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpx.ProtocolError) as error:
            raise _unreachable(shown, error) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise InputError(
                f"The URL {shown[:200]} cannot be used.", code="http.url", remedy="Write scheme://host/path."
            ) from None


def _unreachable(shown: str, error: Exception) -> HttpUnreachableError | _TryAgain:
    cause = error.__cause__ or error.__context__ or error
    while cause is not None and not isinstance(cause, OSError) and cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return HttpUnreachableError(
            f"The certificate of {shown} is not trusted: {cause.verify_message}.",
            code="http.certificate",
            remedy="Correct the server's certificate, or name your own authority in SSL_CERT_FILE.",
        )
    reason = (getattr(cause, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
    return _TryAgain(
        HttpUnreachableError(
            f"{shown} could not be read: {reason}.",
            remedy="Check that the server runs and that this machine can reach it.",
        )
    )


def _redirect_target(current: str, location: str) -> str:
    target = urldefrag(urljoin(current, location)).url
    check_url(target)
    if current.lower().startswith("https:") and not target.lower().startswith("https:"):
        raise HttpStatusError(
            f"{mask_url(current)} redirects from https to {mask_url(target)}.",
            http_status=310,
            remedy="Correct the server, or register the address that it leads to.",
        )
    return target


def _check_headers(headers: Mapping[str, str]) -> None:
    """Refuse what cannot be sent here: the HTTP library's own message would show the value."""
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise InputError(
                f"{name[:50]!r} is no header name.", code="http.header", remedy="Correct the name."
            )
        if re.search(r"[^\t\x20-\x7e]", value) or value != value.strip():
            raise InputError(
                f"The value of the header {name} holds a line break or another character that cannot be sent.",
                code="http.header",
                remedy="Check the credential or header for a line break or space at its end.",
            )
