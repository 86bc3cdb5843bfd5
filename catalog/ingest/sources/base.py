"""What readers of sources have in common: what they return, what they may spend, and how patterns match."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

from catalog.refs import LocationRef
from portal.core.errors import CallboardError, InputError

#: The files that are looked for in a folder or repository when nothing else is said.
DEFAULT_PATTERN = "**/catalog-info.{yaml,yml}"
#: The version of a place where nothing is.
MISSING = "missing"
#: The version of a place that changes with others: one of them has the version of all (:meth:`Reader.group`).
COVERED = "covered"
#: Characters that a version may have: what the column for it holds.
MAX_VERSION = 200

_SKIPPED_FOLDERS = frozenset({".git", "node_modules"})


class UnreadableError(CallboardError):
    """Something is there and cannot be read just now; what is known of it stays."""

    status, default_code = 502, "catalog.source.unreadable"


@dataclass(frozen=True, slots=True)
class File:
    """A file that was read.

    Attributes:
        url: where, as in the target of its location.
        data: its bytes, unchanged.
        version: an opaque text that is the same as long as the file is.
        commit: the Git commit it was read at; empty where there is none.
        digest: SHA-256 of the bytes, in hex.
        mark: a text that is the same as long as the bytes are, also where the version is that of everything around
            them; empty where the version is as good.
    """

    url: str
    data: bytes
    version: str
    commit: str
    digest: str
    mark: str = ""


class Known(NamedTuple):
    """What is known of a place from the last reading.

    Attributes:
        version, digest, mark: as in :class:`File`; the digest is empty for a folder, a pattern and what was missing.
        commit: the first one that had these bytes.
        record: what came of the file (:mod:`catalog.ingest.records`); empty where it has to be processed again.
        id: of the row that remembers it.
    """

    version: str
    digest: str
    mark: str = ""
    commit: str = ""
    record: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one session may read.

    Args:
        file_bytes: of one file.
        total_bytes: of all files together.
        files: how many.
        repository_bytes: of one fetch of a repository.
        request_seconds: for one request over HTTP.
        fetch_seconds: for one command that talks to a Git server.
    """

    file_bytes: int = 10 * 1024 * 1024
    total_bytes: int = 2 * 1024 * 1024 * 1024
    files: int = 100_000
    repository_bytes: int = 500 * 1024 * 1024
    request_seconds: float = 30
    fetch_seconds: float = 120


class Reader(Protocol):
    """Reads one kind of place.

    Attributes:
        listings: target -> version of every folder, repository and pattern that was expanded; the version changes
            when the list may.
    """

    listings: dict[str, str]

    def expand(self, location: LocationRef, *, branch: str, pattern: str) -> list[LocationRef]:
        """The files that a folder, repository or pattern stands for; the location itself when it is a file.

        Raises:
            NotFoundError: there is no such place.
        """

    def read(self, location: LocationRef) -> File:
        """The file.

        Raises:
            NotFoundError: it is not there.
            CallboardError: it is there, or may be, and cannot be read.
        """

    def version(self, location: LocationRef, known: str) -> str:
        """The version that reading it would give now, found out without reading it where the place allows that.

        Args:
            location: a file that was read before.
            known: the version that it had then.

        Raises:
            as :meth:`read`.
        """

    def mark(self, location: LocationRef) -> str:
        """The mark that the file has now, found out without reading it; empty where that cannot be told.

        Raises:
            as :meth:`read`.
        """

    def group(self, location: LocationRef) -> str:
        """Names what changes its version as a whole, as the branch of a repository does; empty where each place has
        its own.

        Raises:
            as :meth:`read`.
        """


def is_pattern(path: str) -> bool:
    """Whether a path names several files. As in stock, ``[`` and ``{`` alone are ordinary characters of a name."""
    return "*" in path or "?" in path


def fixed_folder(pattern: str) -> str:
    """The folder that all matches of a pattern are below: ``a/b`` of ``a/b/**/c.yaml``."""
    parts = pattern.split("/")[:-1]
    fixed = []
    for part in parts:
        if re.search(r"[*?\[{]", part):
            break
        fixed.append(part)
    return "/".join(fixed)


def is_skipped(path: str) -> bool:
    """Whether a path lies in a folder that is never searched."""
    return not _SKIPPED_FOLDERS.isdisjoint(path.split("/")[:-1])


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Callable[[str], bool]:
    """A test for paths: ``*`` and ``?`` within a name, ``**`` for any folders, ``{a,b}``, ``[abc]``.

    Unlike in a shell, a name may begin with a dot.

    Raises:
        InputError: a pattern that is too long or has too many alternatives.
    """
    alternatives = _alternatives(pattern)
    if len(pattern) > 1000 or len(alternatives) > 64 or pattern.count("*") > 40:
        raise InputError(
            f"The pattern {pattern[:100]!r} is too complicated.",
            code="catalog.source.pattern",
            remedy="Use fewer wildcards and alternatives.",
        )
    tests = [_PathTest(alternative) for alternative in alternatives]
    return lambda path: any(test.matches(path) for test in tests)


def _alternatives(pattern: str) -> list[str]:
    """``a{b,c}d`` as ``abd`` and ``acd``; more than 64 are not worked out."""
    found = [pattern]
    for _ in range(8):
        if len(found) > 64 or not any(re.search(r"\{[^{}]*\}", one) for one in found):
            break
        worked_out = []
        for one in found:
            match = re.search(r"\{([^{}]*)\}", one)
            if match is None:
                worked_out.append(one)
            else:
                worked_out += [
                    one[: match.start()] + part + one[match.end() :] for part in match[1].split(",")
                ]
        found = worked_out
    return found


class _PathTest:
    """One pattern without alternatives. Works through the names one by one, so no pattern takes exponential time."""

    def __init__(self, pattern: str) -> None:
        names = [name for name in pattern.split("/") if name not in ("", ".")]
        self.names = [None if name == "**" else re.compile(_name_regex(name)) for name in names]

    def matches(self, path: str) -> bool:
        names = path.split("/")
        last = self.names[-1] if self.names else None
        if last is not None and last.fullmatch(names[-1]) is None:
            return False
        reachable = {0}  # how much of the pattern may be used up
        for name in names:
            after = set()
            for used in self._through_folders(reachable):
                if used < len(self.names):
                    test = self.names[used]
                    if test is None:
                        after.add(used)
                    elif test.fullmatch(name):
                        after.add(used + 1)
            reachable = after
        return len(self.names) in self._through_folders(reachable)

    def _through_folders(self, reachable: set[int]) -> set[int]:
        """``**`` may stand for no folder at all."""
        result = set(reachable)
        for used in sorted(reachable):
            while used < len(self.names) and self.names[used] is None:
                used += 1
                result.add(used)
        return result


def _name_regex(name: str) -> str:
    parts = []
    for piece in re.findall(r"\[!?[^\]]+\]|.", re.sub(r"\*+", "*", name), re.DOTALL):
        if piece == "*":
            parts.append("[^/]*")
        elif piece == "?":
            parts.append("[^/]")
        elif len(piece) > 1:
            inside = piece[1:-1].replace("\\", r"\\").replace("[", r"\[")
            parts.append(f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]")
        else:
            parts.append(re.escape(piece))
    try:
        return re.compile("".join(parts)).pattern
    except re.error:
        return re.escape(name)
