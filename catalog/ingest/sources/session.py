"""One reading of a source: the right reader for every location, each file once, all of it counted and remembered."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from django.conf import settings

from catalog.ingest.hosts import Hosts
from catalog.ingest.sources.base import COVERED, MISSING, File, Known, Limits, Reader
from catalog.ingest.sources.files import FilesReader
from catalog.ingest.sources.git import GitReader
from catalog.ingest.sources.gitea import GiteaReader
from catalog.ingest.sources.http import HttpReader
from catalog.ingest.sources.reach import Reach
from catalog.refs import LocationRef
from portal.connections.hosts import Gate, HostConfig, OpenGate
from portal.core.errors import CallboardError, InputError, NotFoundError, TooLargeError
from portal.core.git import is_commit_id
from portal.core.http import Response
from portal.core.process import CancelledError

#: Bytes of files kept at hand, since one file is often named by several documents.
KEPT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Remembered:
    """A place that was read, for comparison the next time.

    Attributes:
        url: target of its location; of a folder or pattern as well.
        version: as its reader gave it; ``missing`` where nothing was, ``covered`` where another place has the version
            of all that change together.
        digest: SHA-256 of the file in hex; empty where there is none.
        mark: of the file, where its reader gives one.
        commit: the first one that had these bytes.
    """

    url: str
    version: str
    digest: str
    mark: str = ""
    commit: str = ""


class ReadSession:
    """Reads what one sync needs. Not for several threads.

    Args:
        hosts: the connections for reading (:func:`portal.connections.selectors.host_configs`).
        known: what :meth:`files_to_remember` gave at the last reading: target -> (version, digest, ...) as in
            :class:`Known`.
        cancelled: looked at while waiting; true ends the work with :class:`CancelledError`.
        file_roots: folders below which files and local repositories may be read; by default those of the settings.
        git_cache: folder of the caches of Git repositories; by default below the data folder.
        limits: what may be spent; by default with the size of files that the settings name.
        gate: what every call to a host with a connection goes through; by default nothing is held back.

    Attributes:
        reads: how many files were read, each once.
        bytes: how many bytes that was.
    """

    def __init__(
        self,
        *,
        hosts: Sequence[HostConfig],
        known: Mapping[str, Known | tuple[str, str]] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        file_roots: Sequence[Path] | None = None,
        git_cache: Path | None = None,
        limits: Limits | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.limits = limits or Limits(file_bytes=settings.CALLBOARD_MAX_FILE_BYTES)
        roots = settings.CALLBOARD_FILE_ROOTS if file_roots is None else file_roots
        cache = git_cache or Path(settings.DATA_DIR) / "git"
        self._reach = Reach(
            hosts,
            file_roots=roots,
            git_cache=cache,
            limits=self.limits,
            cancelled=cancelled,
            gate=gate or OpenGate(),
        )
        self._known = {url: Known(*place) for url, place in (known or {}).items()}
        self._trusted: dict[str, str] = {}
        self._holders: dict[str, str] = {}  # group -> the place that has its version
        self._cancelled = cancelled
        self._files = FilesReader(roots, self.limits)
        self._git = GitReader(self._reach, self.limits, self._trusted)
        self._gitea = GiteaReader(self._reach, self.limits.file_bytes)
        self._http = HttpReader(self._reach)
        self._remembered: dict[str, Remembered] = {}
        self._kept: OrderedDict[LocationRef, File] = OrderedDict()
        self._kept_bytes = 0
        self._certain = True
        self.reads = 0
        self.bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to servers."""
        self._reach.close()

    @property
    def hosts(self) -> Hosts:
        """The source code hosts, for addresses."""
        return self._reach.hosts

    @property
    def fingerprint(self) -> str:
        """Changes when the same files would be read or understood differently."""
        text = f"{self.hosts.fingerprint}:{self.limits.file_bytes}"
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:8]

    def check(self) -> None:
        """End the work if it was cancelled.

        Raises:
            CancelledError: it was.
        """
        if self._cancelled():
            raise CancelledError("Reading the source was cancelled.")

    def expand(self, location: LocationRef, *, branch: str = "", pattern: str = "") -> list[LocationRef]:
        """The files that a location stands for, in order of their paths: itself, or those of a folder or pattern.

        Args:
            location: of type ``url``, ``git`` or ``file``.
            branch: branch or tag of a ``git`` location; the default branch without.
            pattern: which files of a folder or repository; without it the usual names of descriptors.

        Raises:
            NotFoundError: there is no such place.
            CallboardError: it cannot be read just now, or not at all.
        """
        self.check()
        try:
            reader = self._reader(location)
            found = reader.expand(location, branch=branch, pattern=pattern)
            for target, version in reader.listings.items():
                self._remember(reader, LocationRef(location.type, target), version)
        except NotFoundError:
            self._remembered[location.target] = Remembered(location.target, MISSING, "")
            raise
        except CallboardError:
            self._certain = False
            raise
        reader.listings.clear()
        return found

    def read(self, location: LocationRef) -> File:
        """A file, read once a session.

        Raises:
            NotFoundError: it is not there.
            TooLargeError: it, or everything together, is more than may be read.
            CallboardError: it cannot be read just now, or not at all.
        """
        self.check()
        if location in self._kept:
            self._kept.move_to_end(location)
            return self._kept[location]
        try:
            if self.reads >= self.limits.files or self.bytes >= self.limits.total_bytes:
                raise TooLargeError(
                    f"{location.target} is not read: the source has more than {self.limits.files} files"
                    f" or {self.limits.total_bytes} bytes.",
                    code="catalog.source.total",
                    remedy="Split the source, or narrow its pattern.",
                )
            reader = self._reader(location)
            file = reader.read(location)
            known = self._known.get(location.target)
            if known is not None and known.commit and known.digest == file.digest:
                file = replace(file, commit=known.commit)
            new = location.target not in self._remembered
            self._remember(reader, location, file.version, file.digest, file.mark, file.commit)
        except NotFoundError:
            self._remember_missing(location)
            raise
        except CallboardError:
            self._certain = False
            raise
        self.reads += new
        self.bytes += len(file.data)
        self._keep(location, file)
        return file

    def ask(self, method: str, url: str, **options: Any) -> Response:
        """One call to the API of another instance, with the credential of its host.

        Args:
            options: of :meth:`portal.core.http.Client.request`.

        Raises:
            NotFoundError, HttpStatusError: the answer is no success; a redirect is none.
            TooLargeError: the answer is larger than may be read.
            CallboardError: it cannot be had just now, or not at all.
        """
        self.check()
        return self._reach.ask(method, url, self._reach.config(url), **options)

    def connection_name(self, url: str) -> str:
        """The connection whose credential goes with an address; empty where there is none."""
        config = self._reach.config(url)
        return config.name if config is not None else ""

    # ---------------------------------------------------------------------------------------------- unchanged or not

    def trust(self, urls: Iterable[str]) -> None:
        """Say which files will not be read as long as they are what they were, so that nobody fetches them ahead."""
        self._trusted.update((url, self._known[url].mark) for url in urls if url in self._known)

    def known(self, url: str) -> Known | None:
        """What the last reading knew of a place."""
        return self._known.get(url)

    def unchanged(self, location: LocationRef) -> bool:
        """Whether a file has the bytes of the last reading, found out without reading it; it is remembered then.

        Raises:
            CancelledError: the work was cancelled.
        """
        self.check()
        known = self._known.get(location.target)
        if known is None or not known.digest:
            return False
        try:
            reader = self._reader(location)
            version = reader.version(location, known.version)
            same = reader.mark(location) == known.mark if known.mark else version == known.version
            if same:
                self._remember(reader, location, version, known.digest, known.mark, known.commit)
        except CancelledError:
            raise
        except CallboardError:
            return False  # reading it will say what is wrong
        return same

    def version(self, root: LocationRef) -> str | None:
        """The version of everything that was read below a root the last time, if all of it is still the same.

        No file is read for that where the place allows it: a repository is asked for the commit of its branch, a web
        server whether the file changed, a disk for times and sizes.

        Returns:
            what :meth:`composite_version` gave then; None when something changed, or cannot be told.
        """
        if not self._known:
            return None
        try:
            if root.type == "git":
                self._git.open(root)
            for url, place in self._known.items():
                self.check()
                if place.version != COVERED and self._current(url, place.version) != place.version:
                    return None
        except CancelledError:
            raise
        except CallboardError:
            return None  # reading it will say what is wrong
        return _composite((url, place.version) for url, place in self._known.items())

    def composite_version(self) -> str:
        """One text for all that was read in this session: the commit if it all came from one, else a fingerprint.

        Empty when something could not be read, so that the next reading compares anew.
        """
        if not self._certain:
            return ""
        return _composite((one.url, one.version) for one in self._remembered.values())

    def files_to_remember(self) -> list[Remembered]:
        """All places that were read, for ``known`` of the next session."""
        return list(self._remembered.values())

    def _current(self, url: str, known: str) -> str:
        location = LocationRef("url" if "://" in url else "file", url)
        try:
            return self._reader(location).version(location, known)
        except NotFoundError:
            return MISSING

    # ------------------------------------------------------------------------------------------------------- readers

    def _reader(self, location: LocationRef) -> Reader:
        if location.type == "file":
            return self._files
        if location.type not in ("url", "git"):
            raise InputError(
                f"Locations of type {location.type[:50]!r} cannot be read.",
                code="catalog.source.type",
                remedy="Use url, git or file.",
            )
        if self._gitea.takes(location):
            return self._gitea
        if self._git.takes(location):
            return self._git
        return self._http

    def _remember(
        self,
        reader: Reader,
        location: LocationRef,
        version: str,
        digest: str = "",
        mark: str = "",
        commit: str = "",
    ) -> None:
        """Keep what a place is now. Of all that one commit covers, only the first has it as version: a commit that
        changes one file then changes what is remembered of two."""
        url = location.target
        if is_commit_id(version) and self._holders.setdefault(reader.group(location), url) != url:
            version = COVERED
        self._remembered[url] = Remembered(url, version, digest, mark, commit)

    def _remember_missing(self, location: LocationRef) -> None:
        """A file that a commit lacks is missing as long as the commit is the same; no need to look for it again."""
        try:
            reader = self._reader(location)
            current = reader.version(location, MISSING)
            if is_commit_id(current):
                self._remember(reader, location, current)
                return
        except CallboardError:
            pass  # repository or branch are missing as well
        self._remembered[location.target] = Remembered(location.target, MISSING, "")

    def _keep(self, location: LocationRef, file: File) -> None:
        self._kept[location] = file
        self._kept_bytes += len(file.data)
        while self._kept_bytes > KEPT_BYTES and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped.data)


def _composite(versions: Iterator[tuple[str, str]]) -> str:
    pairs = sorted(pair for pair in versions if pair[1] != COVERED)
    distinct = {version for _, version in pairs}
    if len(distinct) == 1 and is_commit_id(next(iter(distinct))):
        return distinct.pop()
    return hashlib.sha256("\0".join(f"{url}\1{version}" for url, version in pairs).encode()).hexdigest()
