"""Readings for a question: the files of a place as somebody sends them, or as they are at another branch or commit.

Addresses stay those of the place itself, so that what was read compares with what the catalog has from there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, unquote

from catalog.ingest.sources.base import DEFAULT_PATTERN, File, is_pattern, is_skipped, matcher
from catalog.ingest.sources.git import GitReader
from catalog.ingest.sources.session import ReadSession
from catalog.ingest.urls import split_url
from catalog.refs import LocationRef
from portal.core.errors import InputError, NotAllowedError, NotFoundError, TooLargeError

#: Stands for files of nowhere yet. No server can have this name (RFC 2606).
NOWHERE = "https://sent.invalid/"
MOST_FILES = 5_000
MOST_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SentFiles:
    """The files of a working tree.

    Args:
        files: path from the root of the repository (or from the folder of the source), or whole address, to bytes.
        removed: further paths that are no longer there.
        complete: what is neither sent nor outside of the place is not there; else it is as the place has it.
    """

    files: Mapping[str, bytes]
    removed: frozenset[str] = field(default_factory=frozenset)
    complete: bool = True

    @classmethod
    def of(
        cls,
        files: Iterable[tuple[str, bytes]],
        *,
        removed: Iterable[str] = (),
        complete: bool = True,
        file_bytes: int,
    ) -> SentFiles:
        """Check what was sent.

        Raises:
            InputError: a path that is none, or that is there twice.
            TooLargeError: more than ``MOST_FILES``, ``MOST_BYTES``, or a file of more than ``file_bytes``.
        """
        found: dict[str, bytes] = {}
        size = 0
        for path, data in files:
            name = checked_path(path)
            if name in found:
                raise InputError(f"The file {name[:200]} was sent twice.", code="catalog.preview.twice")
            if len(data) > file_bytes:
                raise TooLargeError(
                    f"{name[:200]} has {len(data)} bytes; at most {file_bytes} are read.",
                    code="catalog.source.too-large",
                    remedy="Make the file smaller, or raise CALLBOARD_MAX_FILE_BYTES.",
                )
            found[name] = data
            size += len(data)
            if len(found) > MOST_FILES or size > MOST_BYTES:
                raise TooLargeError(
                    f"More than {MOST_FILES} files or {MOST_BYTES} bytes were sent.",
                    code="catalog.preview.too-large",
                    remedy="Send only what descriptors name, or only what changed (`complete` false).",
                )
        return cls(found, frozenset(map(checked_path, removed)), complete)


def checked_path(path: str) -> str:
    """A path in its short form; an address as readers name it.

    Raises:
        InputError: it is empty, absolute, or climbs.
    """
    if re.match(r"https?://", path):
        return path
    if path.startswith("file:///") and ".." not in path.split("/"):
        return path.removeprefix("file://")
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    if path.startswith("/") or not parts or ".." in parts or "\0" in path or len(path) > 1000:
        raise InputError(
            f"{path[:200]!r} is not the path of a file.",
            code="catalog.preview.path",
            remedy="Write it from the root of the repository, such as services/shop/catalog-info.yaml.",
        )
    return "/".join(parts)


def _is_address(name: str) -> bool:
    return name.startswith(("/", "http://", "https://"))


class _Place(Protocol):
    """Where the sent files stand: what their addresses are, and which paths addresses mean."""

    def address(self, location: LocationRef, path: str) -> LocationRef:
        """The address of ``path``, as a search that began at ``location`` would name it."""

    def path(self, location: LocationRef) -> str | None:
        """The path behind an address; None for what lies elsewhere."""


class SentSession(ReadSession):
    """A session in which a place has other files than it has now.

    Args:
        root: the source; what lies in the same repository, folder or site counts as its place.
        branch: of the source.
        ref: read the branch of the source as if it were this branch, tag or commit; empty for as it is.
        sent: files in the place of those that are there; None for those that are there.
        readable: the only files of this machine that may be read beside what was sent; None for all below the roots.
            Who sends a descriptor could otherwise have it name any file there.
        options: of :class:`ReadSession`.
    """

    def __init__(
        self,
        *,
        root: LocationRef,
        branch: str = "",
        ref: str = "",
        sent: SentFiles | None = None,
        readable: frozenset[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._root = root
        self._sent = sent
        self._readable = readable
        self._at_ref = ref
        self._branch = branch
        self._place: _Place | None = None

    def prepare(self) -> None:
        """Find out what the addresses of the place are, and where ``ref`` points.

        Raises:
            InputError: the source has no branches, or its address cannot be one.
            NotFoundError: there is no such ref.
            CallboardError: the server cannot be asked.
        """
        if self._at_ref:
            self._point_branch()
        if self._sent is not None:
            self._place = self._find_place()
            self._sent = self._by_path(self._sent, self._place)

    @staticmethod
    def _by_path(sent: SentFiles, place: _Place) -> SentFiles:
        """The same files; what was named by an address of the place is named by its path."""

        def path(name: str) -> str:
            if not _is_address(name):
                return name
            found = place.path(LocationRef("file" if name.startswith("/") else "url", name))
            return found or name

        files = {path(name): data for name, data in sent.files.items()}
        return SentFiles(files, frozenset(map(path, sent.removed)), sent.complete)

    def path_of(self, url: str) -> str:
        """The path of a sent file by its address; empty where it is none."""
        if self._place is None:
            return ""
        location = LocationRef("file" if url.startswith("/") else "url", url)
        path = self._place.path(location)
        return path if path is not None and self._sent is not None and path in self._sent.files else ""

    # --- reading

    def expand(self, location: LocationRef, *, branch: str = "", pattern: str = "") -> list[LocationRef]:
        if self._sent is None or self._place is None:
            return super().expand(location, branch=branch, pattern=pattern)
        self.check()
        place = self._place
        path = place.path(location)
        if path is None:
            return self._there(super().expand(location, branch=branch, pattern=pattern))
        if path in self._sent.files or location.target in self._sent.files or path in self._sent.removed:
            return [location]
        ours = self._search(path, pattern, [name for name in self._sent.files if not _is_address(name)])
        if self._sent.complete:
            if ours is None:  # reading it says that it is not there
                return [location]
            return [place.address(location, name) for name in ours]
        try:
            found = self._there(super().expand(location, branch=branch, pattern=pattern))
        except NotFoundError:
            if not ours:
                raise
            found = []
        return _overlaid(place, location, found, ours or [], self._sent.removed)

    @staticmethod
    def _search(path: str, pattern: str, names: Sequence[str]) -> list[str] | None:
        """The sent files that a folder or pattern stands for; None where it is neither."""
        if is_pattern(path):
            matches = matcher(path)
        else:
            folder = f"{path}/" if path else ""
            if folder and not any(name.startswith(folder) for name in names):
                return None
            matches = matcher(folder + (pattern or DEFAULT_PATTERN))
        return sorted(name for name in names if not is_skipped(name) and matches(name))

    def read(self, location: LocationRef) -> File:
        if self._sent is None or self._place is None:
            return super().read(location)
        path = self._place.path(location)
        data = self._sent.files.get(location.target)
        if data is None and path is not None:
            data = self._sent.files.get(path)
        if data is not None:
            self.check()
            digest = hashlib.sha256(data).hexdigest()
            return File(location.target, data, f"sha256:{digest}", "", digest)
        if path is not None and (self._sent.complete or path in self._sent.removed):
            raise NotFoundError(
                f"{path or location.target} is not among the files that were sent.",
                code="catalog.source.not-found",
                remedy="Send it too, or take away what names it.",
            )
        if not self._there([location]):
            raise NotAllowedError(
                f"{location.target} is a file of the server that this source does not read itself.",
                code="catalog.preview.file",
                remedy="Send it too, or ask on the command line of the server.",
            )
        return super().read(location)

    def _there(self, found: list[LocationRef]) -> list[LocationRef]:
        """What may be read of places that are not sent."""
        if self._readable is None:
            return found
        return [one for one in found if one.type != "file" or one.target in self._readable]

    # --- places

    def _point_branch(self) -> None:
        root = self._root
        if self._gitea.takes(root):
            self._gitea.read_at(root, self._at_ref)
        elif root.type != "file" and self._git.takes(root):
            self._git.read_at(root, branch=self._branch, ref=self._at_ref)
        else:
            raise InputError(
                f"{root.target} is in no Git repository, so there is nothing else to read than what is there now.",
                code="catalog.preview.no-ref",
                remedy="Leave the ref out, or send the files.",
            )

    def _find_place(self) -> _Place:
        root = self._root
        if root.type == "file":
            return _Folder(self._files.folder_of(root.target))
        if root.type == "git" or self._gitea.takes(root) or self._git.takes(root):
            return _Repository(self._git, root, self._branch)
        return _Site(root.target)


class _Folder:
    """Files on disk below the folder of a source."""

    def __init__(self, folder: str) -> None:
        self.folder = folder.rstrip("/")

    def address(self, location: LocationRef, path: str) -> LocationRef:
        return LocationRef("file", f"{self.folder}/{path}")

    def path(self, location: LocationRef) -> str | None:
        if location.type != "file":
            return None
        if location.target.rstrip("/") == self.folder:
            return ""
        start = f"{self.folder}/"
        return location.target[len(start) :] if location.target.startswith(start) else None


class _Site:
    """Files beside the one at an address of a plain web server, or of nowhere."""

    def __init__(self, url: str) -> None:
        scheme, authority, path, query, _ = split_url(url)
        self.base, self.query = f"{scheme}://{authority}{path.rpartition('/')[0]}/", query

    def address(self, location: LocationRef, path: str) -> LocationRef:
        return LocationRef("url", f"{self.base}{quote(path)}{self.query}")

    def path(self, location: LocationRef) -> str | None:
        url = location.target.partition("#")[0].partition("?")[0]
        return (
            unquote(url[len(self.base) :]) if location.type == "url" and url.startswith(self.base) else None
        )


class _Repository:
    """Files in a Git repository, by the addresses that its host shows or by those of the repository itself."""

    def __init__(self, git: GitReader, root: LocationRef, branch: str) -> None:
        self.git = git
        self.here = git.place_of(root, branch=branch)
        self.whole = root.type == "git"
        self.root = root

    def address(self, location: LocationRef, path: str) -> LocationRef:
        whole = self.whole and location == self.root
        return LocationRef("url", self.git.address_in(self.here, location, path, page=whole))

    def path(self, location: LocationRef) -> str | None:
        if location == self.root:
            return self.here.path
        return self.git.path_in(self.here, location) if location.type == "url" else None


def _overlaid(
    place: _Place,
    location: LocationRef,
    found: Sequence[LocationRef],
    ours: Sequence[str],
    removed: frozenset[str],
) -> list[LocationRef]:
    """What the place has, with what was sent and without what was removed."""
    by_path: dict[str, LocationRef] = {}
    for one in found:
        name = place.path(one)
        by_path[one.target if name is None else name] = one
    for name in ours:
        by_path.setdefault(name, place.address(location, name))
    return [by_path[name] for name in sorted(by_path) if name not in removed]
