"""Files behind plain http and https addresses, asked for only when they changed."""

from __future__ import annotations

import hashlib
import re

from catalog.ingest.sources.base import MAX_VERSION, File
from catalog.ingest.sources.reach import Reach
from catalog.refs import LocationRef
from portal.core.errors import InputError
from portal.core.http import Response


class HttpReader:
    """Reads ``url`` locations that lead to no known source code host."""

    def __init__(self, reach: Reach) -> None:
        self.listings: dict[str, str] = {}
        self._reach = reach
        self._read: dict[str, File] = {}  # what a check for changes brought along
        self._same: dict[str, str] = {}  # target -> version that it still has, asked once a session

    def expand(self, location: LocationRef, *, branch: str, pattern: str) -> list[LocationRef]:
        if "*" in location.target.partition("?")[0]:
            raise InputError(
                f"{location.target} is a pattern, and plain web servers cannot be searched.",
                code="catalog.source.pattern",
                remedy="Name each file, or add a connection if it is a Git host.",
            )
        return [location]

    def read(self, location: LocationRef) -> File:
        found = self._read.pop(location.target, None)
        return found or self._file(location, self._get(location.target))

    def version(self, location: LocationRef, known: str) -> str:
        if self._same.get(location.target) == known:
            return known
        kind, _, mark = known.partition(":")
        response = self._get(
            location.target,
            etag=mark if kind == "etag" else "",
            last_modified=mark if kind == "modified" else "",
        )
        if response.not_modified:
            self._same[location.target] = known
            return known
        file = self._file(location, response)
        self._read[location.target] = file
        return known if known == f"sha256:{file.digest}" else file.version

    def mark(self, location: LocationRef) -> str:
        return ""

    def group(self, location: LocationRef) -> str:
        return ""

    def _get(self, url: str, *, etag: str = "", last_modified: str = "") -> Response:
        return self._reach.get(
            _sendable(url), self._reach.config(url), etag=etag, last_modified=last_modified
        )

    def _file(self, location: LocationRef, response: Response) -> File:
        digest = hashlib.sha256(response.body).hexdigest()
        version = f"sha256:{digest}"
        mark = f"etag:{response.etag}" if response.etag else f"modified:{response.last_modified}"
        if (response.etag or response.last_modified) and len(mark) <= MAX_VERSION:
            version = mark
        return File(location.target, response.body, version, "", digest)


def _sendable(url: str) -> str:
    """As browsers do: spaces and characters beyond ASCII are encoded."""
    return re.sub(r"[^\x21-\x7e]", lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), url)
