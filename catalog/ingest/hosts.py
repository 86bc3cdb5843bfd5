"""Source code hosts: what the address of a file says about its repository, and the addresses derived from it.

The derivations are stock's (catalog format, "fields the system sets"), with two places repaired in which stock can
only fail: a rooted target (``/dir/file``) on Gitea keeps its branch, and on an unknown host it is seen from the root
of the host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode

from catalog.ingest.urls import host_of, is_url, join_url, split_url

HostType = Literal["github", "gitlab", "bitbucketCloud", "bitbucketServer", "azure", "gitea", "gerrit"]
_GITHUB_TYPE = re.compile(r"//([^/]+)/([^/]+)/([^/]+)/(?:blob|tree|edit)/")
_GITLAB_TYPE = re.compile(r"/-/(?:blob|tree|edit)/")


@dataclass(frozen=True, slots=True)
class Host:
    """A source code host.

    Args:
        host: name and, if unusual, port, as in addresses.
        type: decides how its addresses are read.
        base_url: address of its start page when it is not ``https://<host>``, without a slash at the end.
    """

    host: str
    type: HostType
    base_url: str = ""

    @property
    def root(self) -> str:
        return (self.base_url or f"https://{self.host}").rstrip("/")


@dataclass(frozen=True, slots=True)
class FileUrl:
    """The address of a file in a repository, taken apart.

    Args:
        host: where.
        repository: path of the repository on the host, without slashes at the ends.
        ref: branch, tag or commit; empty for the default branch. A branch with slashes cannot be told from a folder;
            its first part is taken, as in stock.
        path: of the file, without a slash at the beginning, percent-decoded.
        root: address of the repository's root at this ref, ending in a slash.
        clone_url: what Git clones.
    """

    host: Host
    repository: str
    ref: str
    path: str
    root: str
    clone_url: str


DEFAULT_HOSTS = (
    Host("github.com", "github"),
    Host("gitlab.com", "gitlab"),
    Host("bitbucket.org", "bitbucketCloud"),
    Host("dev.azure.com", "azure"),
)


class Hosts:
    """The known source code hosts; immutable. An address on any other host is an ordinary address.

    Args:
        hosts: configured ones; those of the public services are added unless given.
    """

    def __init__(self, hosts: Iterable[Host] = ()) -> None:
        known = {host.host: host for host in DEFAULT_HOSTS}
        known.update((host.host.lower(), host) for host in hosts)
        self._hosts: Mapping[str, Host] = known

    @property
    def fingerprint(self) -> str:
        """Changes when a host is another one."""
        return repr(sorted(self._hosts.items(), key=lambda item: item[0]))

    def by_url(self, url: str) -> Host | None:
        """The host that an address belongs to."""
        return self._hosts.get(host_of(url))

    def file(self, url: str) -> FileUrl | None:
        """The repository behind an address; None for an unknown host or an address that is not inside a repository.

        Raises:
            ValueError: the path has ``.`` or ``..`` in it, plain or percent-encoded.
        """
        host = self.by_url(url)
        file = None if host is None else _READERS[host.type](host, url)
        if file is not None and not {".", ".."}.isdisjoint(unquote(file.path).replace("\\", "/").split("/")):
            raise ValueError(f"{url} leads out of its folder")
        return file

    def resolve(self, target: str, base: str) -> str:
        """The absolute address of a target that stands in the file at ``base``.

        Args:
            target: absolute, relative to the file, or rooted (``/...``: from the root of the repository at the same
                ref; without a repository from the root of the host).
            base: address of the file.

        Raises:
            ValueError: the base is not an absolute address.
        """
        host = self.by_url(base)
        if host is None:
            return target if is_url(target) else _join(target, base, None)
        if host.type == "azure":
            return target if is_url(target) else _resolve_azure(target, base)
        if is_url(target):
            resolved = target
        else:
            file = _READERS[host.type](host, base) if target.startswith("/") else None
            resolved = _join(target, base, file)
        return _github_type(resolved, "tree") if host.type == "github" else resolved

    def edit_url(self, url: str) -> str | None:
        """The page on which a file is edited; None on an unknown host, for a fixed commit, or where none is known."""
        host = self.by_url(url)
        if host is None or re.search(r"[0-9a-f]{40}", url):
            return None
        return _edit_url(host, url)

    def source_url(self, url: str) -> str | None:
        """The folder of a file, with a slash at the end; None on an unknown host."""
        return None if self.by_url(url) is None else self.resolve("./", url)

    def same_repository(self, one: str, other: str) -> bool:
        """Whether two addresses are in the same repository; True when either is in none that we know.

        Raises:
            ValueError: a path has ``..`` in it.
        """
        first, second = self.file(one), self.file(other)
        if first is None or second is None:
            return True
        return (first.host.host, first.repository.lower()) == (second.host.host, second.repository.lower())


def _join(target: str, base: str, file: FileUrl | None) -> str:
    """As stock joins: the query of the base stays."""
    _, _, _, query, _ = split_url(base)
    if file is not None:
        joined = join_url(file.root, f".{target}")
    else:
        joined = join_url(base, target)
    scheme, authority, path, _, fragment = split_url(joined)
    return f"{scheme}://{authority}{path}{query}{fragment}"


def _resolve_azure(target: str, base: str) -> str:
    scheme, authority, path, query, _ = split_url(base)
    asked = dict(parse_qsl(query[1:], keep_blank_values=True))
    if "/_git/" not in path:
        return join_url(base, target)
    _, _, moved, _, _ = split_url(
        join_url(f"https://host{quote(asked.get('path') or '/', safe='/')}", target)
    )
    asked["path"] = moved
    return f"{scheme}://{authority}{path}?{urlencode(asked)}"


def _github_type(url: str, kind: str) -> str:
    return _GITHUB_TYPE.sub(rf"//\1/\2/\3/{kind}/", url, count=1)


def _edit_url(host: Host, url: str) -> str | None:
    if host.type == "github":
        return _github_type(url, "edit")
    if host.type == "gitlab":
        return _GITLAB_TYPE.sub("/-/edit/", url, count=1)
    if host.type == "bitbucketServer":
        return url.partition("?")[0]
    if host.type == "azure":
        return url
    file = _READERS[host.type](host, url)
    if host.type == "bitbucketCloud":
        scheme, authority, path, query, fragment = split_url(url)
        asked = [
            pair for pair in parse_qsl(query[1:], keep_blank_values=True) if pair[0] not in ("mode", "at")
        ]
        asked += [("mode", "edit"), ("at", file.ref if file else "")]
        return f"{scheme}://{authority}{path}?{urlencode(asked)}{fragment}"
    if file is None:
        return None
    if host.type == "gitea":
        return f"{host.root}/{file.repository}/_edit/{file.ref}/{quote(file.path, safe='/')}"
    return (
        f"{host.root}/admin/repos/edit/repo/{quote(file.repository, safe='')}"
        f"/branch/refs/heads/{quote(file.ref, safe='')}/file/{quote(file.path, safe='/')}"
    )


def _segments(host: Host, url: str) -> tuple[str, list[str], str]:
    """Address of the host's start page, the path below it in segments, and the query."""
    scheme, authority, path, query, _ = split_url(url)
    start = f"{scheme}://{authority}"
    if host.base_url:
        prefix = split_url(host.base_url)[2].rstrip("/")
        if prefix and path.startswith(f"{prefix}/"):
            start, path = start + prefix, path[len(prefix) :]
    return start, path.strip("/").split("/"), query


def _found(
    host: Host, start: str, repository: list[str], middle: list[str], ref: str, path: list[str]
) -> FileUrl:
    name = "/".join(repository).removesuffix(".git")
    root = "/".join([start, *repository, *middle]) + "/"
    return FileUrl(host, unquote(name), unquote(ref), unquote("/".join(path)), root, f"{start}/{name}.git")


def _read_github(host: Host, url: str) -> FileUrl | None:
    start, parts, _ = _segments(host, url)
    if len(parts) < 2:
        return None
    if len(parts) > 3 and parts[2] in ("blob", "tree", "edit", "raw"):
        return _found(host, start, parts[:2], parts[2:4], parts[3], parts[4:])
    return _found(host, start, parts[:2], [], "", parts[2:])


def _read_gitlab(host: Host, url: str) -> FileUrl | None:
    start, parts, _ = _segments(host, url)
    for position, part in enumerate(parts):
        dash = part == "-"
        at = position + 1 if dash else position
        if position >= 2 and len(parts) > at + 1 and parts[at] in ("blob", "tree", "edit", "raw"):
            middle = parts[position : at + 2]
            return _found(host, start, parts[:position], middle, parts[at + 1], parts[at + 2 :])
    return _found(host, start, parts, [], "", []) if len(parts) > 1 else None


def _read_bitbucket_cloud(host: Host, url: str) -> FileUrl | None:
    start, parts, _ = _segments(host, url)
    if len(parts) < 2:
        return None
    if len(parts) > 3 and parts[2] in ("src", "raw"):
        return _found(host, start, parts[:2], parts[2:4], parts[3], parts[4:])
    return _found(host, start, parts[:2], [], "", parts[2:])


def _read_bitbucket_server(host: Host, url: str) -> FileUrl | None:
    start, parts, query = _segments(host, url)
    if len(parts) < 4 or parts[0] not in ("projects", "users") or parts[2] != "repos":
        return None
    middle = parts[4:5] if len(parts) > 4 else ["browse"]
    ref = dict(parse_qsl(query[1:])).get("at", "")
    owner = parts[1] if parts[0] == "projects" else f"~{parts[1]}"
    found = _found(host, start, parts[:4], middle, ref, parts[5:])
    clone = f"{start}/scm/{owner.lower()}/{parts[3]}.git"
    return FileUrl(host, f"{owner}/{parts[3]}", found.ref, found.path, found.root, clone)


def _read_azure(host: Host, url: str) -> FileUrl | None:
    scheme, authority, path, query, _ = split_url(url)
    before, marker, after = path.partition("/_git/")
    if not marker or not after.strip("/"):
        return None
    asked = dict(parse_qsl(query[1:]))
    version = asked.get("version", "")
    repository = f"{before}/_git/{after.split('/')[0]}"
    root = f"{scheme}://{authority}{repository}"
    ref = version[2:] if version[:2] in ("GB", "GT", "GC") else version
    name = unquote(repository.strip("/"))
    return FileUrl(host, name, ref, asked.get("path", "").lstrip("/"), f"{root}/", root)


def _read_gitea(host: Host, url: str) -> FileUrl | None:
    start, parts, _ = _segments(host, url)
    if len(parts) < 2:
        return None
    if len(parts) > 4 and parts[2] in ("src", "raw") and parts[3] in ("branch", "tag", "commit"):
        return _found(host, start, parts[:2], parts[2:5], parts[4], parts[5:])
    return _found(host, start, parts[:2], [], "", parts[2:])


def _read_gerrit(host: Host, url: str) -> FileUrl | None:
    start, parts, _ = _segments(host, url)
    if "+" not in parts[1:]:
        return None
    plus = parts.index("+", 1)
    repository = parts[:plus]
    name = repository[2:] if repository[:2] == ["plugins", "gitiles"] else repository
    at = plus + 3 if parts[plus + 1 : plus + 3] == ["refs", "heads"] else plus + 1
    ref = parts[at] if len(parts) > at else ""
    found = _found(host, start, repository, parts[plus : at + 1], ref, parts[at + 1 :])
    return FileUrl(host, "/".join(name), found.ref, found.path, found.root, f"{host.root}/{'/'.join(name)}")


_READERS: dict[HostType, Callable[[Host, str], FileUrl | None]] = {
    "github": _read_github,
    "gitlab": _read_gitlab,
    "bitbucketCloud": _read_bitbucket_cloud,
    "bitbucketServer": _read_bitbucket_server,
    "azure": _read_azure,
    "gitea": _read_gitea,
    "gerrit": _read_gerrit,
}
