"""A client of the API that outlives the server: what was cut off is asked again."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx

PATIENCE = 120.0
#: Statuses that tell a client to come again; any other one from 500 up is a fault of ours.
LATER = (503, 504)


class NoAnswerError(Exception):
    """Nothing answered for so long that it cannot be a restart."""


class Client:
    """Asks until it is answered.

    Attributes:
        counts: requests that were answered, cut off, or told to come later.
        faults: answers that no client should ever see, each once.
    """

    def __init__(self, port: int, token: str) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: dict[str, str] = {}
        self._base = f"http://127.0.0.1:{port}"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._local = threading.local()
        logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request helps nobody here

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """The answer to a request that may be sent twice.

        Args:
            body: JSON, or bytes as they are to be sent.

        Raises:
            NoAnswerError: none within two minutes.
        """
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            answer = self.once(method, path, body, headers)
            if answer is not None and answer.status_code < 500:
                return answer
            time.sleep(0.1)
        raise NoAnswerError(f"{method} {path} was not answered in {PATIENCE:.0f} s.")

    def once(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response | None:
        """Ask once; None where the connection broke before the answer was whole."""
        sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        try:
            answer = self._connection().request(method, path, headers=headers, **sent)
        except httpx.TransportError:
            self.counts["cut off"] += 1
            self._drop()
            return None
        later = answer.status_code in LATER
        self.counts["later" if later else "answered"] += 1
        if answer.status_code >= 500 and not (later and "remedy" in answer.text):
            self.faults.setdefault(f"{method} {answer.status_code}", f"{path}: {answer.text[:500]}")
        return answer

    def _connection(self) -> httpx.Client:
        if getattr(self._local, "client", None) is None:
            self._local.client = httpx.Client(base_url=self._base, headers=self._headers, timeout=30)
        client: httpx.Client = self._local.client
        return client

    def _drop(self) -> None:
        self._local.client.close()
        self._local.client = None
