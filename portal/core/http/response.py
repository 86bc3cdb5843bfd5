"""What comes back from a server, and the errors for what should not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from portal.core.errors import NotFoundError, ServiceUnavailableError


class HttpStatusError(ServiceUnavailableError):
    """A server answered, but not with what was asked for.

    Attributes:
        http_status: the status code of the answer.
    """

    default_code = "http.status"

    def __init__(self, message: str, *, http_status: int, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.http_status = http_status


class HttpUnreachableError(ServiceUnavailableError):
    """A server could not be reached, or hung up before its answer was complete."""

    default_code = "http.unreachable"


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer.

    Attributes:
        url: where it came from after redirects; safe to show.
        status: status code.
        headers: names in any case.
        body: decompressed bytes.
    """

    url: str
    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def etag(self) -> str:
        return self.headers.get("etag", "")

    @property
    def last_modified(self) -> str:
        return self.headers.get("last-modified", "")

    @property
    def not_modified(self) -> bool:
        return self.status == 304

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            HttpStatusError: it is none.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            raise HttpStatusError(
                f"{self.url} answered with something that is not JSON.",
                http_status=self.status,
                remedy="Check that the address is that of the API.",
            ) from None

    def raise_for_status(self) -> None:
        """Turn an answer other than 2xx and 304 into an error.

        Raises:
            NotFoundError: 404 and 410.
            HttpStatusError: every other.
        """
        if 200 <= self.status < 300 or self.status == 304:
            return
        if self.status in (404, 410):
            raise NotFoundError(
                f"{self.url} does not exist (status {self.status}).",
                code="http.not-found",
                remedy="Check the address; servers also answer like this when a credential may not see it.",
            )
        remedies = {
            401: "Give the connection for this host a valid credential.",
            403: "Give the connection for this host a credential that may read this.",
            429: "The server limits the rate of requests; wait, or use a credential with a higher limit.",
        }
        raise HttpStatusError(
            f"{self.url} answered with status {self.status}.",
            http_status=self.status,
            remedy=remedies.get(self.status, "Check the server; the next attempt may succeed."),
        )
