"""Files of a Gitea or Forgejo over its API, for hosts whose repositories cannot be cloned from here.

Every file costs a request; reading over Git (the default) costs one fetch for all. The API is that of version 1:
``/repos/{owner}/{name}/git/commits/{ref}``, ``/contents/{path}?ref=`` and ``/git/trees/{commit}``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any
from urllib.parse import quote

from catalog.ingest.hosts import FileUrl
from catalog.ingest.sources.base import (
    DEFAULT_PATTERN,
    File,
    UnreadableError,
    is_pattern,
    is_skipped,
    matcher,
)
from catalog.ingest.sources.reach import Reach
from catalog.refs import LocationRef
from portal.connections.hosts import HostConfig
from portal.core.errors import InputError, NotFoundError, TooLargeError

#: How many names of a branch with slashes are tried.
_MAX_REF_PARTS = 4
_DESCRIPTOR_ENDINGS = (".yaml", ".yml", ".json")


class GiteaReader:
    """Reads ``url`` locations on a Gitea host whose connection says ``api``."""

    def __init__(self, reach: Reach, file_bytes: int) -> None:
        self.listings: dict[str, str] = {}
        self._reach = reach
        self._file_bytes = file_bytes
        self._commits: dict[tuple[str, str], str] = {}  # (repository in the API, ref) -> commit
        # (repository in the API, commit) -> path -> type and id of the contents
        self._trees: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}

    def takes(self, location: LocationRef) -> bool:
        """Whether this reader is the one for a location."""
        if location.type != "url" or self._reach.file(location.target) is None:
            return False
        config = self._reach.config(location.target)
        return config is not None and config.kind == "gitea" and config.read_over == "api"

    def expand(self, location: LocationRef, *, branch: str, pattern: str) -> list[LocationRef]:
        config, file = self._known(location)
        path = file.path.strip("/")
        if not is_pattern(path) and path.lower().endswith(_DESCRIPTOR_ENDINGS):
            return [location]
        api, ref, commit, path = self._place(config, file)
        tree = self._tree(config, api, commit)
        if is_pattern(path):
            matches = matcher(path)
        elif path in tree:
            return [location]
        else:
            matches = matcher(f"{path}/{pattern or DEFAULT_PATTERN}" if path else pattern or DEFAULT_PATTERN)
        self.listings[location.target] = commit
        start = file.clone_url.removesuffix(".git")
        page = f"{start}/src/branch/{quote(ref)}/"
        paths = sorted(
            p for p, (kind, _) in tree.items() if kind != "tree" and not is_skipped(p) and matches(p)
        )
        return [LocationRef("url", page + quote(path)) for path in paths]

    def read(self, location: LocationRef) -> File:
        config, file = self._known(location)
        api, _, commit, path = self._place(config, file)
        answer = self._ask(config, f"{api}/contents/{quote(path)}?ref={quote(commit, safe='')}")
        if not isinstance(answer, dict) or answer.get("type", "file") != "file":
            what = answer.get("type") if isinstance(answer, dict) else "folder"
            raise InputError(
                f"{location.target} is a {what}.",
                code="catalog.source.not-a-file",
                remedy="Links and submodules are not followed; name a file or a pattern.",
            )
        data = _decoded(answer, location.target)
        if len(data) > self._file_bytes:
            raise TooLargeError(
                f"{location.target} has {len(data)} bytes; at most {self._file_bytes} are read.",
                code="catalog.source.too-large",
                remedy="Make the file smaller, or raise CALLBOARD_MAX_FILE_BYTES.",
            )
        mark = answer.get("sha")
        digest = hashlib.sha256(data).hexdigest()
        return File(location.target, data, commit, commit, digest, mark if isinstance(mark, str) else "")

    def version(self, location: LocationRef, known: str) -> str:
        config, file = self._known(location)
        return self._place(config, file)[2]

    def mark(self, location: LocationRef) -> str:
        config, file = self._known(location)
        api, _, commit, path = self._place(config, file)
        # Without the list of a search, reading the one file costs less than asking for the list.
        return self._trees.get((api, commit), {}).get(path, ("", ""))[1]

    def group(self, location: LocationRef) -> str:
        config, file = self._known(location)
        api, ref, _, _ = self._place(config, file)
        return f"{api}@{ref}"

    def read_at(self, root: LocationRef, ref: str) -> None:
        """For this session, read the branch of ``root`` as if it pointed to where ``ref`` does.

        Raises:
            NotFoundError: no such repository, branch or ref.
        """
        config, file = self._known(root)
        api, branch, _, _ = self._place(config, file)
        answer = self._ask(config, f"{api}/git/commits/{quote(ref, safe='')}")
        commit = answer.get("sha") if isinstance(answer, dict) else None
        if not isinstance(commit, str) or not commit:
            raise _strange(api)
        self._commits[api, branch] = commit

    def _known(self, location: LocationRef) -> tuple[HostConfig, FileUrl]:
        config, file = self._reach.config(location.target), self._reach.file(location.target)
        if config is None or file is None:
            raise NotFoundError(
                f"{location.target} is in no repository.",
                code="catalog.source.not-found",
                remedy="Check the address.",
            )
        return config, file

    def _place(self, config: HostConfig, file: FileUrl) -> tuple[str, str, str, str]:
        """Repository in the API, ref, commit and path; a branch with slashes is told from a folder by asking."""
        api = f"{config.api_url}/repos/{quote(file.repository)}"
        parts = f"{file.ref}/{file.path}".strip("/").split("/") if file.ref else ["HEAD"]
        problem: NotFoundError | None = None
        for count in range(1, min(len(parts), _MAX_REF_PARTS) + 1):
            ref = "/".join(parts[:count])
            path = "/".join(parts[count:]) if file.ref else file.path.strip("/")
            if (api, ref) in self._commits:
                return api, ref, self._commits[api, ref], path
            try:
                answer = self._ask(config, f"{api}/git/commits/{quote(ref, safe='')}")
            except NotFoundError as error:
                problem = problem or error
                continue
            commit = answer.get("sha") if isinstance(answer, dict) else None
            if not isinstance(commit, str) or not commit:
                raise _strange(api)
            self._commits[api, ref] = commit
            return api, ref, commit, path
        raise problem or _strange(api)

    def _tree(self, config: HostConfig, api: str, commit: str) -> dict[str, tuple[str, str]]:
        if (api, commit) not in self._trees:
            tree: dict[str, tuple[str, str]] = {}
            for page in range(1, 1000):
                answer = self._ask(
                    config, f"{api}/git/trees/{commit}?recursive=true&per_page=1000&page={page}"
                )
                entries = answer.get("tree") if isinstance(answer, dict) else None
                if not isinstance(entries, list):
                    raise _strange(api)
                tree.update(
                    (entry["path"], _type_and_id(entry))
                    for entry in entries
                    if isinstance(entry, dict) and isinstance(entry.get("path"), str)
                )
                if not entries or not answer.get("truncated"):
                    break
            self._trees[api, commit] = tree
        return self._trees[api, commit]

    def _ask(self, config: HostConfig, url: str) -> Any:
        # Base64 in JSON is a third longer than the file.
        limit = self._file_bytes * 2 + 65536
        return self._reach.get(url, config, max_bytes=limit).json()


def _type_and_id(entry: dict[str, Any]) -> tuple[str, str]:
    kind, mark = "link" if entry.get("mode") == "120000" else entry.get("type", ""), entry.get("sha")
    return kind, mark if kind == "blob" and isinstance(mark, str) else ""


def _decoded(answer: dict[str, Any], target: str) -> bytes:
    content = answer.get("content")
    if answer.get("encoding") != "base64" or not isinstance(content, str):
        raise UnreadableError(
            f"The API does not show the contents of {target}.",
            remedy="Make the file smaller, or read over Git.",
        )
    try:
        return base64.b64decode(content)
    except binascii.Error:
        raise UnreadableError(
            f"The API shows {target} in a form that cannot be read.", remedy="Read over Git."
        ) from None


def _strange(api: str) -> UnreadableError:
    return UnreadableError(
        f"{api} answers unlike the API of Gitea.",
        remedy="Check the API address of the connection for this host.",
    )
