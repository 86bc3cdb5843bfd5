"""Files in Git repositories: by the addresses that Git hosts show in a browser, and by plain repository addresses.

Each repository is fetched once a commit for all sources and processes (portal.core.git). Within a session its refs
are asked for once, so that everything a session reads from one branch comes from one commit.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode

from catalog.ingest.hosts import FileUrl
from catalog.ingest.sources.base import DEFAULT_PATTERN, File, Limits, is_pattern, is_skipped, matcher
from catalog.ingest.sources.reach import Reach
from catalog.ingest.urls import split_url
from catalog.refs import LocationRef
from portal.core.errors import NotFoundError, ServiceUnavailableError, TimedOutError
from portal.core.git import Repository, parse_address

#: How many files are read from a repository in one go, and how many bytes.
BATCH_FILES = 200
BATCH_BYTES = 8 * 1024 * 1024

# Where branch and path follow each other in an address, and a branch with slashes has to be told apart.
_REF_IN_PATH = frozenset({"github", "gitlab", "bitbucketCloud", "gitea", "gerrit"})
_PAGES = {
    "github": "blob/{ref}/",
    "gitlab": "-/blob/{ref}/",
    "bitbucketCloud": "src/{ref}/",
    "gitea": "src/branch/{ref}/",
}


@dataclass(frozen=True, slots=True)
class Place:
    """What an address means: a path at a commit of a repository."""

    repository: Repository
    ref: str
    commit: str
    path: str


class GitReader:
    """Reads ``git`` locations and ``url`` locations on source code hosts.

    A plain repository (``https://host/x.git``, ``ssh://...``, a local folder) has no pages in a browser. Its files get
    the address of the repository, the path, and the branch as ``?ref=``, so that relative targets work as elsewhere.
    """

    def __init__(self, reach: Reach, limits: Limits, trusted: Mapping[str, str]) -> None:
        """``trusted``: address -> mark of files that will not be read as long as they have it."""
        self.listings: dict[str, str] = {}
        self._trusted = trusted
        self._reach = reach
        self._limits = limits
        self._plain: dict[str, Repository] = {}  # address with a slash at its end -> repository
        self._commits: dict[tuple[Repository, str], str] = {}  # at a ref, as the server said
        self._actual: dict[tuple[Repository, str], str] = {}  # commit as the server said -> as it was fetched
        self._latest: tuple[str, Place] | None = None
        self._waiting: dict[tuple[Repository, str], deque[str]] = {}  # paths at a commit that will be wanted
        self._ready: dict[tuple[Repository, str], dict[str, bytes]] = {}  # those that came along

    # --------------------------------------------------------------------------------------------------------- reading

    def takes(self, location: LocationRef) -> bool:
        """Whether this reader is the one for a location."""
        url = location.target
        return (
            location.type == "git" or self._plain_root(url) is not None or self._reach.file(url) is not None
        )

    def open(self, location: LocationRef) -> None:
        """Make the addresses of the files in a ``git`` location known."""
        self._as_url(location, "")

    def expand(self, location: LocationRef, *, branch: str, pattern: str) -> list[LocationRef]:
        whole = location.type == "git"
        if whole:
            location = self._as_url(location, branch)
        place = self._place(location.target)
        commit = self._fetched(place)
        tree = place.repository.list_tree(commit)
        if is_pattern(place.path):
            matches = matcher(place.path)
        elif place.path in tree:
            return [location]
        else:
            folder = f"{place.path}/" if place.path else ""
            if folder and not any(path.startswith(folder) for path in tree):
                return [location]  # reading it tells exactly what is missing
            matches = matcher(folder + (pattern or DEFAULT_PATTERN))
        paths = sorted(path for path in tree if not is_skipped(path) and matches(path))
        self.listings[location.target] = commit
        found = [self._address(location.target, place, path, page=whole) for path in paths]
        waiting = self._waiting.setdefault((place.repository, commit), deque())
        waiting.extend(
            path for path, url in zip(paths, found, strict=True) if self._trusted.get(url) != tree[path].oid
        )
        return [LocationRef("url", url) for url in found]

    def read(self, location: LocationRef) -> File:
        place = self._place(location.target)
        commit = self._fetched(place)
        data = self._contents(place.repository, commit, place.path)
        mark = place.repository.list_tree(commit)[place.path].oid
        return File(location.target, data, commit, commit, hashlib.sha256(data).hexdigest(), mark)

    def version(self, location: LocationRef, known: str) -> str:
        return self._place(location.target).commit

    def mark(self, location: LocationRef) -> str:
        place = self._place(location.target)
        entry = place.repository.list_tree(self._fetched(place)).get(place.path)
        return entry.oid if entry is not None and entry.kind == "file" else ""

    def group(self, location: LocationRef) -> str:
        place = self._place(location.target)
        return f"{place.repository.shown}@{place.ref}"

    # ------------------------------------------------------------------------------------------------------ questions

    def read_at(self, root: LocationRef, *, branch: str, ref: str) -> None:
        """For this session, read the branch of ``root`` as if it pointed to where ``ref`` does.

        Args:
            ref: branch, tag, full ref name such as ``refs/pull/7/head``, or commit id.

        Raises:
            NotFoundError: no such repository, branch or ref.
        """
        place = self._place((self._as_url(root, branch) if root.type == "git" else root).target)
        self._note(place.repository, place.ref, place.repository.remote_commit(ref))
        self._latest = None

    def place_of(self, root: LocationRef, *, branch: str) -> Place:
        """What the address of a source means; seen from the address alone where its server does not answer.

        Raises:
            InputError: it is in no repository.
        """
        url = (self._as_url(root, branch) if root.type == "git" else root).target
        try:
            return self._place(url)
        except (ServiceUnavailableError, TimedOutError, NotFoundError):
            plain = self._plain_root(url)
            if plain is not None:
                return Place(self._plain[plain], branch, "", "")
            file = self._reach.file(url)
            if file is None:
                raise
            repository = self._reach.repository(file.clone_url, self._reach.config(url))
            return Place(repository, file.ref, "", file.path.strip("/"))

    def path_in(self, here: Place, location: LocationRef) -> str | None:
        """The path of an address in the repository and at the branch of ``here``; None for what lies elsewhere."""
        url = location.target
        root = self._plain_root(url)
        if root is not None:
            path = unquote(re.split(r"[?#]", url[len(root) :], maxsplit=1)[0]).strip("/")
            return path if self._plain[root] is here.repository else None
        file = self._reach.file(url)
        if (
            file is None
            or self._reach.repository(file.clone_url, self._reach.config(url)) is not here.repository
        ):
            return None
        path = file.path.strip("/")
        refs = {here.ref}
        if refs <= {"", here.repository.default_branch}:  # one ref under two names
            refs = {"", here.repository.default_branch}
        if not file.ref or file.host.type not in _REF_IN_PATH:
            return path if file.ref in refs else None
        rest = f"{file.ref}/{path}"
        return next((rest[len(ref) + 1 :] for ref in refs if ref and rest.startswith(f"{ref}/")), None)

    def address_in(self, here: Place, location: LocationRef, path: str, *, page: bool) -> str:
        """The address of ``path`` as a search that begins at ``location`` names it."""
        inside = Place(here.repository, here.ref, here.commit, self.path_in(here, location) or "")
        url = location.target
        if location.type == "git":
            url = self._as_url(location, here.ref).target
        return self._address(url, inside, path, page=page)

    # ------------------------------------------------------------------------------------------------------ addresses

    def _as_url(self, location: LocationRef, branch: str) -> LocationRef:
        """The address that a ``git`` location has at a branch."""
        target = location.target
        file = self._reach.file(target)
        if file is not None:
            return LocationRef("url", _page(file, branch, file.path) if branch else target)
        address = parse_address(target, file_roots=self._reach.file_roots)
        if address.scheme == "file":
            path = os.path.normpath(unquote(target.removeprefix("file://")))
            root, repository = f"file://{quote(path)}/", self._reach.repository(target, None)
        else:
            root, repository = (
                f"{address.url}/",
                self._reach.repository(address.url, self._reach.config(address.url)),
            )
        self._plain[root] = repository
        return LocationRef("url", f"{root}?{urlencode({'ref': branch})}" if branch else root)

    def _plain_root(self, url: str) -> str | None:
        return next((root for root in self._plain if url.startswith(root)), None)

    def _place(self, url: str) -> Place:
        """What an address means; refs are asked for once a session. The last one is asked for several times in a row.

        Raises:
            NotFoundError: no such repository, branch or tag.
        """
        if self._latest is None or self._latest[0] != url:
            self._latest = (url, self._find(url))
        return self._latest[1]

    def _find(self, url: str) -> Place:
        root = self._plain_root(url)
        if root is not None:
            _, _, _, query, _ = split_url(url)
            ref = dict(parse_qsl(query[1:])).get("ref", "")
            path = unquote(re.split(r"[?#]", url[len(root) :], maxsplit=1)[0]).strip("/")
            return Place(self._plain[root], ref, self._commit(self._plain[root], ref), path)
        file = self._reach.file(url)
        if file is None:
            raise NotFoundError(
                f"{url} is in no known repository.",
                code="catalog.source.not-found",
                remedy="Check the address.",
            )
        repository = self._reach.repository(file.clone_url, self._reach.config(url))
        path = file.path.strip("/")
        if not file.ref or file.host.type not in _REF_IN_PATH:
            return Place(repository, file.ref, self._commit(repository, file.ref), path)
        rest = f"{file.ref}/{path}"
        for (known, ref), commit in self._commits.items():
            if known is repository and ref and rest.startswith(f"{ref}/"):
                return Place(repository, ref, commit, rest[len(ref) + 1 :])
        resolved = repository.resolve(rest)
        self._note(repository, resolved.ref, resolved.commit)
        return Place(repository, resolved.ref, resolved.commit, resolved.path)

    def _commit(self, repository: Repository, ref: str) -> str:
        if (repository, ref) not in self._commits:
            self._note(repository, ref, repository.remote_commit(ref))
        return self._commits[repository, ref]

    def _note(self, repository: Repository, ref: str, commit: str) -> None:
        """The default branch is one ref under two names: what is said of one holds for the other."""
        names = {"", repository.default_branch}
        for name in names if ref in names else {ref}:
            self._commits[repository, name] = commit

    def _address(self, url: str, place: Place, path: str, *, page: bool) -> str:
        """The address of a path in the repository and at the branch that another address is in.

        With ``page`` that of the page that shows it; else as stock gives it to the matches of a pattern, which differs
        on GitHub.
        """
        root = self._plain_root(url)
        scheme, authority, way, query, _ = split_url(url)
        if root is not None:
            return f"{root}{quote(path)}{query}"
        file = self._reach.file(url)
        if file is None or file.host.type == "azure":
            asked = {**dict(parse_qsl(query[1:])), "path": f"/{path}"}
            return f"{scheme}://{authority}{way}?{urlencode(asked)}"
        if file.host.type == "bitbucketServer":
            return f"{file.root}{quote(path)}{query}"
        if (page or not file.ref) and file.host.type in _PAGES:
            return _page(file, place.ref or place.repository.default_branch or "HEAD", path)
        # Seen from the address itself rather than from the root, so that a branch with slashes stays whole.
        way = way.rstrip("/") if place.path else f"{way.rstrip('/')}/"
        relative = posixpath.relpath(path, posixpath.dirname(place.path) or ".")
        return self._reach.hosts.resolve(f"./{quote(relative)}", f"{scheme}://{authority}{way}{query}")

    # ------------------------------------------------------------------------------------------------------- contents

    def _fetched(self, place: Place) -> str:
        """The commit that is in the cache now: a later one where the branch moved in the same moment."""
        key = (place.repository, place.commit)
        if key not in self._actual:
            self._actual[key] = place.repository.fetch(commit=place.commit)
        return self._actual[key]

    def _contents(self, repository: Repository, commit: str, path: str) -> bytes:
        """One file; the next ones of the same search come along, since each call of git costs as much as many files."""
        key = (repository, commit)
        ready = self._ready.setdefault(key, {})
        if path in ready:
            return ready.pop(path)
        tree = repository.list_tree(commit)
        paths, size = [path], 0
        waiting = self._waiting.get(key, deque())
        if path in tree:
            while waiting and len(paths) < BATCH_FILES and size < BATCH_BYTES:
                entry = tree[waiting.popleft()]
                if entry.kind == "file" and entry.size <= self._limits.file_bytes and entry.path != path:
                    paths.append(entry.path)
                    size += entry.size
        contents = repository.read_files(commit, paths, max_bytes=self._limits.file_bytes)
        ready.update((name, contents[name]) for name in paths[1:])
        return contents[path]


def _page(file: FileUrl, ref: str, path: str) -> str:
    """The address of the page that shows a path at a branch."""
    kind = file.host.type
    if kind in _PAGES:
        return f"{file.clone_url.removesuffix('.git')}/{_PAGES[kind].format(ref=quote(ref))}{quote(path)}"
    if kind == "bitbucketServer":
        return f"{file.root}{quote(path)}?{urlencode({'at': ref})}"
    if kind == "azure":
        return f"{file.root.rstrip('/')}?{urlencode({'path': f'/{path}', 'version': f'GB{ref}'})}"
    return f"{file.host.root}/plugins/gitiles/{file.repository}/+/refs/heads/{quote(ref)}/{quote(path)}"
