"""Addresses of repositories and names of refs, before git sees any of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from portal.core.egress import normal_host
from portal.core.errors import InputError, NotAllowedError, NotFoundError
from portal.core.http import check_url, mask_url

_PORTS = {"https": 443, "http": 80, "ssh": 22}
_SCP_FORM = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>[^:/].*)"
)


@dataclass(frozen=True, slots=True)
class GitAddress:
    """A repository's address in the one form that is given to git.

    Attributes:
        url: ``https://``, ``http://``, ``ssh://`` or ``file://``.
        scheme: the part before ``://``.
        host: empty for ``file``.
        port: 0 for ``file``.
        shown: for messages.
    """

    url: str
    scheme: str
    host: str
    port: int
    shown: str


def parse_address(url: str, *, file_roots: Sequence[Path] = ()) -> GitAddress:
    """Check an address.

    Args:
        url: ``https://host/x.git``, ``http://...``, ``ssh://[user@]host[:port]/x.git``, ``user@host:x.git``, or for
            local repositories ``file:///path`` or an absolute path.
        file_roots: folders below which local repositories may be read.

    Raises:
        InputError: none of these forms.
        NotAllowedError: a local repository outside of the roots, or one that borrows from outside.
        NotFoundError: no local repository there.
    """
    if re.search(r"[\x00-\x1f\x7f]", url):
        raise _bad(url)
    if url.startswith("/"):
        return _local_address(url, Path(url), file_roots)
    if re.search(r"[ \\]", url) or url.startswith("-") or "::" in url.partition("/")[0]:
        raise _bad(url)
    if "://" not in url:
        match = _SCP_FORM.fullmatch(url)
        if match is None:
            raise _bad(url)
        url = f"ssh://{match['user'] or 'git'}@{match['host']}/{match['path']}"
    scheme = url.partition("://")[0].lower()
    if scheme == "file":
        return _local_address(url, Path(unquote(url[7:])), file_roots)
    if scheme == "ssh":
        return _ssh_address(url)
    parts = check_url(url)
    if parts.query or parts.fragment or not parts.path.strip("/"):
        raise _bad(url)
    host = normal_host(parts.hostname or "")
    return GitAddress(url.rstrip("/"), scheme, host, parts.port or _PORTS[scheme], mask_url(url))


def check_ref(ref: str) -> str:
    """A branch, tag, full ref name or commit id, by the rules of git-check-ref-format.

    Raises:
        InputError: not a name that a ref can have.
    """
    bad = (
        len(ref) > 255
        or ref.startswith(("-", "/", "."))
        or ref.endswith(("/", ".", ".lock"))
        or re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock/", ref) is not None
        or ref == "@"
    )
    if not ref or bad:
        raise InputError(
            f"{ref[:100]!r} is not the name of a branch, tag or commit.",
            code="git.ref",
            remedy="Name a branch, a tag or a full commit id.",
        )
    return ref


def is_commit_id(ref: str) -> bool:
    """Whether it is a full object id, which names the same files for ever."""
    return re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", ref) is not None


def _ssh_address(url: str) -> GitAddress:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS["ssh"]
    except ValueError:
        raise _bad(url) from None
    user = parts.username or "git"
    if parts.password or parts.query or parts.fragment or not parts.path.strip("/"):
        raise _bad(url)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", user):
        raise _bad(url)
    host = normal_host(parts.hostname or "")
    netloc = f"[{host}]" if ":" in host else host
    clean = f"ssh://{user}@{netloc}:{port}{parts.path.rstrip('/')}"
    return GitAddress(clean, "ssh", host, port, clean)


def _local_address(url: str, path: Path, file_roots: Sequence[Path]) -> GitAddress:
    roots = [root.resolve() for root in file_roots]
    folder = path.resolve()
    inside = path.is_absolute() and any(folder == root or root in folder.parents for root in roots)
    if not inside:
        raise NotAllowedError(
            f"{url} is not below a folder that may be read.",
            code="git.file-root",
            remedy="Add its folder to CALLBOARD_FILE_ROOTS, or serve the repository over https or ssh.",
        )
    if (folder / ".git").is_dir():
        folder = (folder / ".git").resolve()
    if not ((folder / "HEAD").is_file() and (folder / "objects").is_dir()):
        raise NotFoundError(
            f"There is no repository {url}.", code="git.not-found", remedy="Name the folder of a repository."
        )
    # What a repository may borrow from elsewhere would come along through git's own eyes, not ours.
    borrowed = [folder / "objects" / "info" / "alternates", folder / "commondir"]
    outside = not any(folder == root or root in folder.parents for root in roots)
    objects_outside = (folder / "objects").resolve() != folder / "objects"
    if outside or objects_outside or any(place.exists() for place in borrowed):
        raise NotAllowedError(
            f"{url} borrows objects from outside of its own folder.",
            code="git.file-root",
            remedy="Make a complete copy of it with: git clone --bare --no-local.",
        )
    return GitAddress("file://" + quote(str(folder)), "file", "", 0, url)


def _bad(url: str) -> InputError:
    return InputError(
        f"{mask_url(url)[:200]!r} is not the address of a Git repository.",
        code="git.address",
        remedy="Write https://host/path.git or ssh://git@host/path.git, without user and password.",
    )
