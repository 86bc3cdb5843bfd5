"""What comes back from a server, and the errors for what should not."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from portal.core.errors import NotFoundError, ServiceUnavailableError


class HttpStatusError(ServiceUnavailableError):
    """A server answered, but not with what was asked for.

    Attributes:
        http_status: the status code of the answer.
        pause: seconds that the server asks to be left alone; 0 without.
    """

    default_code = "http.status"

    def __init__(self, message: str, *, http_status: int, remedy: str = "", pause: float = 0.0) -> None:
        super().__init__(message, remedy=remedy)
        self.http_status = http_status
        self.pause = pause


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

    @property
    def pause(self) -> float:
        """Seconds that the server asks to be left alone: by Retry-After, or because no request is left; 0 without."""
        after = self.headers.get("retry-after", "").strip()
        if re.fullmatch(r"\d{1,9}", after):
            return float(after)
        if after:
            try:
                return max(parsedate_to_datetime(after).timestamp() - time.time(), 0.0)
            except ValueError:
                pass  # neither seconds nor a date: as if it were not there
        for prefix in ("x-ratelimit", "ratelimit"):
            reset = self.headers.get(f"{prefix}-reset", "").strip()
            if self.headers.get(f"{prefix}-remaining", "").strip() == "0" and re.fullmatch(
                r"\d{1,12}", reset
            ):
                # Most name the second since 1970, some how many seconds from now.
                return max(float(reset) - (time.time() if len(reset) > 8 else 0.0), 0.0)
        return 0.0

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
        limited = "The server limits the rate of requests; wait, or use a credential with a higher limit."
        remedies = {
            401: "Give the connection for this host a valid credential.",
            403: limited
            if self.pause
            else "Give the connection for this host a credential that may read this.",
            429: limited,
        }
        raise HttpStatusError(
            f"{self.url} answered with status {self.status}.",
            http_status=self.status,
            remedy=remedies.get(self.status, "Check the server; the next attempt may succeed."),
            pause=self.pause,
        )
