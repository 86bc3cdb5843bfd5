"""A remote repository, read through a bare cache that all processes of the machine share."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin

from portal.core import http
from portal.core.egress import EgressPolicy
from portal.core.errors import InputError, NotFoundError, TimedOutError, TooLargeError
from portal.core.git.address import check_ref, is_commit_id, parse_address
from portal.core.git.errors import GitError, from_remote, is_broken_cache, is_redirect
from portal.core.git.listings import MissingObjectError, TreeEntry, parse_batch, parse_tree
from portal.core.git.transport import GitCredential, Remote, run_git
from portal.core.process import CancelledError, Completed, ProcessFailedError

#: Seconds for one command that talks to a server.
TIMEOUT = 120.0
#: Bytes of what one fetch brings.
MAX_BYTES = 500 * 1024 * 1024
#: Bytes of one file.
MAX_FILE_BYTES = 10 * 1024 * 1024
#: Each fetch adds one pack. A cache with more of them is thrown away and fetched anew, which costs one shallow
#: fetch and leaves exactly what is needed; repacking would cost more and keep what nobody reads.
MAX_PACKS = 40

_FETCH = (
    "fetch",
    "--quiet",
    "--depth=1",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-recurse-submodules",
)
_SMART_REFS = "/info/refs?service=git-upload-pack"


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Resolved:
    """What ``branch/with/slashes/and/a/path`` means in a repository."""

    ref: str
    commit: str
    path: str


class Repository:
    """Reads one remote repository.

    Args:
        url: as :func:`portal.core.git.parse_address`.
        cache: folder for the caches of all repositories (``CALLBOARD_DATA_DIR/git``).
        policy: which addresses may be reached.
        credential: sent to the repository's own server only.
        file_roots: folders below which local repositories may be read.
        timeout: seconds for one command that talks to the server.
        max_bytes: bytes of what one fetch may bring.
        cancelled: looked at while waiting; true ends the work with :class:`CancelledError`.
        guard: every command that talks to the server runs inside one of these.

    Attributes:
        shown: the address, for messages.
        default_branch: its name; empty until the server was asked for a ref.

    Raises:
        InputError, NotAllowedError, NotFoundError: as :func:`portal.core.git.parse_address`.
    """

    def __init__(
        self,
        url: str,
        *,
        cache: Path,
        policy: EgressPolicy,
        credential: GitCredential | None = None,
        file_roots: Sequence[Path] = (),
        timeout: float = TIMEOUT,
        max_bytes: int = MAX_BYTES,
        cancelled: Callable[[], bool] | None = None,
        guard: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        address = parse_address(url, file_roots=file_roots)
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.shown = address.shown
        self.default_branch = ""
        self._remote = Remote(address, policy, credential, cache)
        self._folder = cache / hashlib.sha256(address.url.encode()).hexdigest()
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._cancelled = cancelled
        self._guard = guard
        self._full_names: dict[str, str] = {}  # commit -> the ref it was found under
        self._trees: dict[str, dict[str, TreeEntry]] = {}

    # ------------------------------------------------------------------------------------------- asking the server

    def remote_commit(self, ref: str = "") -> str:
        """The commit that a ref points to at the server now; the default branch's without ``ref``.

        Raises:
            NotFoundError: no such repository or ref.
            GitError, TimedOutError, EgressRefusedError: the server cannot be asked.
        """
        if is_commit_id(ref):
            return ref
        return self._choose(ref, self._refs_named([ref]))

    def resolve(self, rest: str) -> Resolved:
        """Tell ref and path apart in what a web page's URL shows as ``ref/path``; both may hold slashes.

        Raises:
            as :meth:`remote_commit`.
        """
        parts = rest.split("/")
        if is_commit_id(parts[0]):
            return Resolved(parts[0], parts[0], "/".join(parts[1:]))
        candidates = []
        for count in range(1, min(len(parts), 12) + 1):
            name = "/".join(parts[:count])
            try:
                candidates.append(check_ref(name))
            except InputError:
                break  # a longer one begins with the same characters
        if not candidates:
            check_ref(parts[0])
        refs = self._refs_named(candidates)
        for name in reversed(candidates):
            if any(full in refs for full in _full_names(name)):
                return Resolved(name, self._choose(name, refs), rest[len(name) + 1 :])
        return Resolved(parts[0], self._choose(parts[0], refs), "/".join(parts[1:]))

    def _refs_named(self, names: Iterable[str]) -> dict[str, str]:
        patterns = [full for name in names for full in _full_names(name)]
        peeled = [f"{full}^{{}}" for full in patterns if full.startswith("refs/tags/")]
        done = self._talk(["ls-remote", "--quiet", "--symref"], ["HEAD", *patterns, *peeled], "")
        refs = {}
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            value, _, name = line.partition("\t")
            if value.startswith("ref: "):
                self.default_branch = value.removeprefix("ref: ").removeprefix("refs/heads/")
            else:
                refs[name] = value
        if not refs:
            # A sign-in page that answers with success looks like this too, so nothing may count as removed.
            raise GitError(
                f"{self.shown} shows no branch: it is empty, or not a Git repository.",
                remedy="Check the address, and that the repository has a default branch.",
            )
        return refs

    def _choose(self, ref: str, refs: dict[str, str]) -> str:
        for full in _full_names(ref):
            if full in refs:
                commit = refs.get(f"{full}^{{}}", refs[full])
                self._full_names[commit] = full
                return commit
        raise NotFoundError(
            f"{ref or 'The default branch'} of {self.shown} does not exist.",
            code="git.ref-not-found",
            remedy="Name a branch, a tag or a full commit id.",
        )

    # ------------------------------------------------------------------------------------------------ filling the cache

    def fetch(self, ref: str = "", *, commit: str = "") -> str:
        """Make sure that the cache holds what a ref points to; return its commit.

        Args:
            ref: branch, tag, full ref name or commit id; the default branch without.
            commit: what :meth:`remote_commit` answered, if it was asked already.

        However many processes ask for the same commit, one of them fetches it.

        Raises:
            TooLargeError: more than ``max_bytes``; and as :meth:`remote_commit`.
        """
        commit = commit or self.remote_commit(ref)
        if self._has(commit):
            return commit
        with self._lock():
            if self._has(commit):
                return commit
            return self._fetch(commit)

    def _fetch(self, commit: str, *, by_id: bool = False) -> str:
        """Fetch with the lock held; a cache that turns out to be damaged is made anew."""
        for fresh in (False, True):
            self._prepare()
            kept = f"refs/callboard/{commit}"
            # By id first: the server then need not list its refs again, which is half of the time of a small fetch.
            names = dict.fromkeys([commit] if by_id else [commit, self._full_names.get(commit, commit)])
            wanted = ""
            try:
                for wanted in names:
                    try:
                        self._talk(_FETCH, [f"+{wanted}:{kept}"], wanted)
                        break
                    except (GitError, NotFoundError):  # refused, or gone: the branch moved in the same moment
                        if wanted == [*names][-1]:
                            raise
                if self._kept(commit):
                    return commit
                return (
                    self._local(["rev-parse", "--verify", "--end-of-options", f"{kept}^{{commit}}"])
                    .stdout.decode()
                    .strip()
                )
            except ProcessFailedError as error:
                if fresh or not is_broken_cache(error):
                    raise from_remote(error, self.shown, wanted) from None
                self._discard()
        raise AssertionError("the second round returns or raises")

    def _prepare(self) -> None:
        packs = list((self._folder / "objects" / "pack").glob("*.pack"))
        if len(packs) > MAX_PACKS or sum(pack.stat().st_size for pack in packs) > 2 * self._max_bytes:
            self._discard()
        if not (self._folder / "HEAD").is_file():
            self._discard()
            self._folder.mkdir(mode=0o700)
            run_git(["init", "--quiet", "--bare", "--template="], folder=self._folder, timeout=30)

    def _discard(self) -> None:
        self._trees.clear()
        if self._folder.exists():
            shutil.rmtree(self._folder)

    def _has(self, commit: str) -> bool:
        if commit in self._trees:
            return True
        if not (self._folder / "HEAD").is_file():
            return False
        if self._kept(commit):
            return True
        try:
            self._local(["cat-file", "-e", f"{commit}^{{tree}}"])
        except ProcessFailedError:
            return False
        return True

    def _kept(self, commit: str) -> bool:
        """Whether a fetch brought exactly this commit: read from the ref itself, since each call of git takes as long
        as reading hundreds of files. Where an object is missing all the same, reading notices and fetches again."""
        try:
            text = (self._folder / "refs" / "callboard" / commit).read_text()
        except OSError:
            return False
        return text.strip() == commit

    # ---------------------------------------------------------------------------------------------------- reading

    def list_tree(self, commit: str) -> dict[str, TreeEntry]:
        """All entries of a fetched commit by path, folders left out.

        Raises:
            TooLargeError: more than 64 MiB of names.
            GitError: the commit is not in the cache and cannot be fetched again.
        """
        if commit not in self._trees:
            command = ["ls-tree", "-r", "-z", "-l", "--full-tree", commit]
            done = self._read(commit, lambda: self._local(command))
            self._trees[commit] = {entry.path: entry for entry in parse_tree(done.stdout)}
        return self._trees[commit]

    def read_file(self, commit: str, path: str, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        """The contents of one file of a fetched commit. Raises as :meth:`read_files`."""
        return self.read_files(commit, [path], max_bytes=max_bytes)[path]

    def read_files(
        self, commit: str, paths: Sequence[str], *, max_bytes: int = MAX_FILE_BYTES
    ) -> dict[str, bytes]:
        """The contents of several files of a fetched commit, by path, in one go.

        Raises:
            NotFoundError: no such file.
            InputError: the path is or leads through a symbolic link or submodule, or is a folder.
            TooLargeError: a file has more than ``max_bytes``.
        """

        def read() -> dict[str, bytes]:
            tree = self.list_tree(commit)
            entries = [self._readable(tree, path, max_bytes) for path in paths]
            wanted = dict.fromkeys(entry.oid for entry in entries)
            try:
                done = self._local(
                    ["cat-file", "--batch"],
                    stdin="".join(f"{oid}\n" for oid in wanted).encode(),
                    max_output=sum(entry.size for entry in entries) + 200 * len(wanted) + 1024,
                )
            except TooLargeError:
                raise MissingObjectError("an object is larger than its list says") from None
            contents = parse_batch(done.stdout)
            if any(len(contents[entry.oid]) != entry.size for entry in entries):
                raise MissingObjectError("an object has another size than its list says")
            return {entry.path: contents[entry.oid] for entry in entries}

        return self._read(commit, read)

    def _readable(self, tree: dict[str, TreeEntry], path: str, max_bytes: int) -> TreeEntry:
        entry = tree.get(path)
        if entry is not None and entry.kind == "file":
            if entry.size > max_bytes:
                raise TooLargeError(
                    f"{path} of {self.shown} has {entry.size} bytes; at most {max_bytes} are read.",
                    code="git.file-too-large",
                    remedy="Make the file smaller, or raise the limit.",
                )
            return entry
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            through = tree.get("/".join(parts[:count]))
            if through is not None and through.kind != "file":
                what = "symbolic link" if through.kind == "symlink" else "submodule"
                raise InputError(
                    f"{path} of {self.shown} cannot be read: {through.path} is a {what}.",
                    code=f"git.{through.kind}",
                    remedy="Links and submodules are not followed; name the file itself.",
                )
        if any(known.startswith(f"{path.rstrip('/')}/") for known in tree):
            raise InputError(
                f"{path} of {self.shown} is a folder.",
                code="git.folder",
                remedy="Name a file in it, or a pattern.",
            )
        raise NotFoundError(
            f"There is no file {path} in {self.shown}.",
            code="git.file-not-found",
            remedy="Check path and branch.",
        )

    def _read(self, commit: str, read: Callable[[], _T]) -> _T:
        """Read from the cache; when it turns out to be damaged or gone, once more after fetching it anew."""
        for again in (False, True):
            try:
                return read()
            except (ProcessFailedError, FileNotFoundError, MissingObjectError) as error:
                if again:
                    raise GitError(
                        f"{self.shown} cannot be read from the cache: {error}",
                        remedy="Sync again; if it goes on, remove the cache folder of Git.",
                    ) from None
            with self._lock():
                self._discard()
                self._fetch(commit, by_id=True)
        raise AssertionError("the second round returns or raises")

    # ---------------------------------------------------------------------------------------------------- running git

    def _local(
        self, args: Sequence[str], *, stdin: bytes = b"", max_output: int = 64 * 1024 * 1024
    ) -> Completed:
        return run_git(
            args,
            folder=self._folder,
            timeout=60,
            stdin=stdin,
            max_output=max_output,
            cancelled=self._cancelled,
        )

    def _talk(self, command: Sequence[str], arguments: Sequence[str], what: str) -> Completed:
        with self._guard():
            return self._converse(command, arguments, what)

    def _converse(self, command: Sequence[str], arguments: Sequence[str], what: str) -> Completed:
        """Run a command with the server's address; a redirect is followed by our own client, once and guarded."""
        for redirected in (False, True):
            try:
                return self._remote.run(
                    [*command, "--", self._remote.address.url, *arguments],
                    folder=self._folder if command[0] == "fetch" else None,
                    timeout=self._timeout,
                    file_bytes=self._max_bytes,
                    cancelled=self._cancelled,
                )
            except ProcessFailedError as error:
                if self._cut_off():
                    raise TooLargeError(
                        f"{self.shown} is larger than {self._max_bytes} bytes.",
                        code="git.too-large",
                        remedy="Split the repository, or raise the limit.",
                    ) from None
                if is_redirect(error) and not redirected:
                    self._follow_redirect()
                elif command[0] == "fetch" and is_broken_cache(error):
                    raise
                else:
                    raise from_remote(error, self.shown, what) from None
            except TimedOutError:
                raise TimedOutError(
                    f"{self.shown} did not answer within {self._timeout:g} s.",
                    code="git.timeout",
                    remedy="Check the server; the next attempt may succeed.",
                ) from None
        raise AssertionError("the second round returns or raises")

    def _cut_off(self) -> bool:
        """Whether a fetch ended because its pack reached the limit; takes the torso away."""
        torsos = list((self._folder / "objects" / "pack").glob("tmp_*"))
        full = any(torso.stat().st_size >= self._max_bytes - 1024 for torso in torsos)
        for torso in torsos:
            torso.unlink()
        return full

    def _follow_redirect(self) -> None:
        address, policy, credential = self._remote.address, self._remote.policy, self._remote.credential
        url = address.url + _SMART_REFS
        for _ in range(5):
            auth = None
            if credential is not None and credential.secret and http.origin(url) == http.origin(address.url):
                auth = http.basic(credential.username, credential.secret)
            answer = http.request(
                "GET",
                url,
                policy=policy,
                auth=auth,
                headers={"Git-Protocol": "version=2"},
                cancelled=self._cancelled,
            )
            target = answer.headers.get("location", "")
            if answer.status not in (301, 302, 303, 307, 308) or not target:
                break
            url = urljoin(url, target)
        else:
            raise GitError(
                f"{self.shown} redirects too often.",
                code="git.redirect",
                remedy="Register the address it leads to.",
            )
        if not url.endswith(_SMART_REFS) or (address.scheme == "https" and not url.startswith("https:")):
            raise GitError(
                f"{self.shown} redirects to {http.mask_url(url)}, which is not the same repository elsewhere.",
                code="git.redirect",
                remedy="Register the address that the repository has now.",
            )
        moved = parse_address(url.removesuffix(_SMART_REFS))
        if http.origin(moved.url) != http.origin(address.url):
            credential = None
        self._remote = replace(self._remote, address=moved, credential=credential)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the cache for writing, against all processes of the machine.

        Raises:
            TimedOutError: somebody else holds it for longer than a fetch may take.
        """
        deadline = time.monotonic() + self._timeout + 10
        with self._folder.with_suffix(".lock").open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    pass  # held by another; wait below
                if self._cancelled is not None and self._cancelled():
                    raise CancelledError(f"Reading {self.shown} was cancelled.")
                if time.monotonic() > deadline:
                    raise TimedOutError(
                        f"{self.shown} is being fetched by another process for too long.",
                        code="git.lock-timeout",
                        remedy="Try again; the next attempt may succeed.",
                    )
                time.sleep(0.05)
            yield  # closing the file releases the lock


def _full_names(ref: str) -> list[str]:
    """Where a ref may be found, the best first: a branch wins over a tag, as in the URLs of Git hosts."""
    if ref in ("", "HEAD"):
        return ["HEAD"]
    check_ref(ref)
    return [ref] if ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
