"""One name for a repository, whichever way its address is written; and where in it another address leads."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, unquote, urlsplit

from catalog.ingest.hosts import Hosts
from portal.connections.hosts import place_of
from portal.core.egress import normal_host
from portal.core.errors import InputError
from portal.core.git.address import is_commit_id

#: Names under which public hosts take ssh on port 443.
_SSH_DOORS = {
    "ssh.github.com:443": "github.com",
    "altssh.gitlab.com:443": "gitlab.com",
    "altssh.bitbucket.org:443": "bitbucket.org",
}
_REFS = re.compile(r"^refs/(?:heads|tags)/")
# Where branch and path follow each other in an address, and a branch with slashes cannot be told from a folder.
_REF_IN_PATH = frozenset({"github", "gitlab", "bitbucketCloud", "gitea", "gerrit"})


@lru_cache(maxsize=4096)
def repository_key(address: str) -> str:
    """The one name of a repository: host, port where it is unusual, and path, all lower case.

    The same for https, ssh and the short form ``git@host:path``, with and without user, usual port, ``.git`` and
    slashes at the end. Hosts treat owners and names alike in any letter case; so do we, and at worst read too often.

    Returns:
        Such as ``git.acme.example:8443/team/shop``; empty for what is no address of a repository.
    """
    text = address.strip()
    if text.lower().startswith("file://"):
        return f"file://{_bare(unquote(text[7:]), lower=False)}"
    host, path = place_of(text)
    path = _bare(path)
    if not host or not path.strip("/"):
        return ""
    host = _SSH_DOORS.get(host, host)
    name, port = host, ""
    if found := re.fullmatch(r"(?P<name>.+):(?P<port>\d+)", host):
        name, port = found["name"], f":{found['port']}"
    try:
        return f"{normal_host(name)}{port}{path}"
    except InputError:
        return ""


def _bare(path: str, *, lower: bool = True) -> str:
    """A path without ``.git`` and slashes at its end."""
    path = path.casefold() if lower else path
    path = path.rstrip("/")
    return (path[:-4] if path.endswith(".git") else path).rstrip("/")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a repository an address leads.

    Attributes:
        ref: branch, tag or commit; empty for the default branch; None where nobody can tell.
        rest: what follows the ref in the address: the ref may go on in there.
    """

    ref: str | None
    rest: str = ""

    @property
    def follows_default(self) -> bool:
        return self.ref in ("", "HEAD")

    def is_at(self, name: str) -> bool:
        """Whether this is the branch or tag ``name``."""
        if not self.ref or is_commit_id(self.ref):
            return False
        whole = f"{self.ref}/{self.rest}" if self.rest else self.ref
        return whole == name or (bool(self.rest) and whole.startswith(f"{name}/"))


def place_in(url: str, keys: Collection[str], hosts: Hosts) -> Place | None:
    """Where in one of some repositories an address leads; None where it leads somewhere else.

    Args:
        url: a repository, or a file or folder in one, as sources and Locations name them.
        keys: of :func:`repository_key`.
    """
    try:
        file = hosts.file(url)
    except ValueError:
        return None
    if file is not None:
        if repository_key(file.clone_url) not in keys:
            return None
        ref = _REFS.sub("", file.ref)
        return Place(ref, file.path if file.host.type in _REF_IN_PATH and ref else "")
    if repository_key(url) in keys:
        return Place(_asked_ref(url))
    return _place_below(url, keys)


def _place_below(url: str, keys: Collection[str]) -> Place | None:
    """A file in a plain repository (``…/shop.git/catalog-info.yaml?ref=main``), or below its pages on a host that
    nobody told us the kind of: there the branch cannot be told."""
    if url.lower().startswith("file://"):
        path = unquote(url[7:].partition("?")[0])
        parents = [str(parent) for parent in PurePosixPath(path).parents]
        found = any(f"file://{_bare(parent, lower=False)}" in keys for parent in parents)
        return Place(_asked_ref(url)) if found else None
    below = repository_key(url)
    for key in keys:
        if below.startswith(f"{key}.git/"):
            return Place(_asked_ref(url))
        if below.startswith(f"{key}/"):
            asked = _asked_ref(url)
            return Place(asked or None)
    return None


def _asked_ref(url: str) -> str:
    """The branch or tag that ``?ref=`` names."""
    try:
        query = urlsplit(url).query
    except ValueError:
        return ""
    return _REFS.sub("", dict(parse_qsl(query)).get("ref", ""))
