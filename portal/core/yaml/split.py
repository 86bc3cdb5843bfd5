"""One text, many documents: cut at the markers, so that a broken document does not hide its neighbours.

A line that begins with ``---`` or ``...`` ends the document before it whatever that document was in the middle of;
YAML has no construct in which such a line could be content.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_MARKER = re.compile(r"^(?:---|\.\.\.)(?=[ \t\r\n]|\Z)", re.MULTILINE)
_VERSION = re.compile(r"%YAML[ \t]+([0-9.]+)")


@dataclass(frozen=True, slots=True)
class Chunk:
    """The text of one document, with its directives and its ``---``.

    Args:
        text: what to parse.
        first_line: line of its first character in the whole text, from 1.
        old: whether YAML 1.1 rules hold.
    """

    text: str
    first_line: int
    old: bool

    @property
    def fingerprint(self) -> str:
        """The same for the same text under the same rules, with or without its ``---``."""
        text = self.text.removeprefix("---\n")
        digest = hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False)
        return f"{digest.hexdigest()}{'-' if self.old else ''}"


def split_documents(text: str) -> list[Chunk]:
    """The documents of a text, empty ones included; comments alone make no document.

    A ``%YAML`` directive holds until a document brings directives of its own, as in stock's reader.
    """
    chunks: list[Chunk] = []
    line, counted_to = 1, 0
    old = False
    start: int | None = None  # of the document that is open
    free = 0  # where text begins that belongs to no document yet

    def close(begin: int, end: int) -> None:
        nonlocal line, counted_to, old
        line += text.count("\n", counted_to, begin)
        counted_to = begin
        body = text[begin:end]
        if body[:1] == "%" or "\n%" in body:
            body, old = _without_directives(body, old)
        chunks.append(Chunk(body, line, old))

    for marker in _MARKER.finditer(text):
        at = marker.start()
        if start is None and _has_content(text, free, at):
            start = free  # a document without ---
        if start is not None:
            close(start, at)
            free = at
        # What stands before --- since the last document (comments, directives) belongs to the new one.
        start, free = (free, free) if text[at] == "-" else (None, marker.end())
    if start is None and _has_content(text, free, len(text)):
        start = free
    if start is not None:
        close(start, len(text))
    return chunks


def _has_content(text: str, begin: int, end: int) -> bool:
    """Whether there is more than blank lines, comments and directives."""
    while begin < end:
        stop = text.find("\n", begin, end)
        stop = end if stop < 0 else stop
        stripped = text[begin:stop].strip(" \t\r")
        if stripped and stripped[0] != "#" and text[begin] != "%":
            return True
        begin = stop + 1
    return False


def _without_directives(body: str, old: bool) -> tuple[str, bool]:
    """Turns the directives that we answer ourselves, or that nobody knows, into comments of the same length."""
    lines = body.split("\n")
    seen = False
    for number, line in enumerate(lines):
        if line[:1] != "%":
            if line.strip(" \t\r") and line.lstrip(" \t")[0] != "#":
                break
            continue
        if not seen:
            seen, old = True, False
        if match := _VERSION.match(line):
            old = match[1] == "1.1"
        if not line.startswith("%TAG"):
            lines[number] = "#" + line[1:]
    return "\n".join(lines), old
