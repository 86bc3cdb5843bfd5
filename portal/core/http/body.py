"""Reading a body that may be endless, or a bomb."""

from __future__ import annotations

import zlib

import httpcore
import httpx

from portal.core.errors import TooLargeError
from portal.core.http.response import HttpStatusError
from portal.core.http.transport import budget


def read_body(answer: httpx.Response, max_bytes: int, shown: str) -> bytes:
    """The whole body, decompressed; never more than ``max_bytes`` are held, however small the bomb."""
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise HttpStatusError(
            f"{shown} answered with the encoding {encoding[:50]!r}, which nobody asked for.",
            http_status=answer.status_code,
            remedy="Configure the server to send gzip or plain content.",
        )
    too_large = TooLargeError(
        f"{shown} has more than {max_bytes} bytes.",
        code="http.too-large",
        remedy="Make the file smaller, or raise the limit.",
    )
    length = answer.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise too_large
    inflate = _Inflate(max_bytes) if "gzip" in encoding else None
    body = bytearray()
    received = 0
    for chunk in answer.iter_raw():
        received += len(chunk)
        body += inflate.feed(chunk) if inflate else chunk
        if len(body) > max_bytes or received > max_bytes:
            raise too_large
        budget.get().left()
    if inflate and received and not inflate.complete:
        raise httpcore.RemoteProtocolError("the compressed answer is incomplete or damaged")
    return bytes(body)


class _Inflate:
    """gzip, piece by piece, that never gives much more than was allowed."""

    def __init__(self, max_bytes: int) -> None:
        self._allowed = max_bytes + 1
        self._stream = zlib.decompressobj(wbits=31)

    @property
    def complete(self) -> bool:
        return self._stream.eof

    def feed(self, data: bytes) -> bytes:
        out = bytearray()
        try:
            while data and self._allowed > 0:
                if self._stream.eof:  # several gzip members one after the other are one file
                    self._stream = zlib.decompressobj(wbits=31)
                piece = self._stream.decompress(data, self._allowed)
                self._allowed -= len(piece)
                out += piece
                data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        except zlib.error:
            raise httpcore.RemoteProtocolError("the compressed answer is incomplete or damaged") from None
        return bytes(out)
