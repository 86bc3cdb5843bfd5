"""What a reader needs to know of a host: plain values without a database behind them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import unquote, urlsplit

from portal.core.egress import EgressPolicy
from portal.core.http import basic, bearer

READ, PUBLISH, TRIGGER = "read", "publish", "trigger"
PURPOSES = (READ, PUBLISH, TRIGGER)
_SCP = re.compile(r"(?:[^@/\s]+@)?(?P<host>[^:/\s]+):(?P<path>(?!//).*)")
_USUAL_PORTS = {"http": 80, "https": 443, "ssh": 22}
# Kinds whose access tokens go into a basic header together with a user name (any, where none is set).
_BASIC = {"bitbucket", "azure", "gerrit"}


def place_of(url: str) -> tuple[str, str]:
    """Host and path of an address, ready to be compared: ``("git.acme.example:8443", "/team/repo")``.

    Takes http, https and ssh URLs and Git's short form ``git@host:path``. The port is there only where it is not the
    usual one. The path is decoded, and empty where it climbs (``..``): below no prefix then. ``("", "")`` for what has
    no host.
    """
    scp = None if "://" in url else _SCP.fullmatch(url)
    if scp:
        host, path = scp["host"].lower(), "/" + scp["path"].lstrip("/")
    else:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return "", ""
        host, path = (parts.hostname or "").rstrip("."), parts.path
        if port and port != _USUAL_PORTS.get(parts.scheme):
            host = f"{host}:{port}"
    path = unquote(path).replace("\\", "/")
    if not host:
        return "", ""
    if ".." in path.split("/"):
        return host, ""
    return host, re.sub(r"/{2,}", "/", path) or "/"


def below(path: str, prefix: str) -> bool:
    """Whether ``path`` is ``prefix`` or below it, by whole segments. Hosts treat owners alike in any case; so do we."""
    path, prefix = path.casefold().rstrip("/"), prefix.casefold().rstrip("/")
    return path == prefix or path.startswith(f"{prefix}/")


@dataclass(frozen=True, slots=True)
class HostConfig:
    """One host, or a part of it.

    Attributes:
        host: name, with a port where it is not the usual one, in lower case.
        kind: value of ``Connection.Kind``: github, gitlab, bitbucket, bitbucket-server, azure, gitea, gerrit, plain.
        base_url: address of the start page, without a slash at the end.
        api_url: address of the API, without a slash at the end; empty where the kind has none.
        allowed_prefixes: paths that may be read; empty for all.
        username: goes with the credential where the host wants one.
        credential: asks for the secret at the moment it is used; None where there is none.
        read_over: ``git`` or ``api``.
        allow_private: its address may be an internal one.
        name: of the connection; empty for the built-in hosts.
    """

    host: str
    kind: str = "plain"
    base_url: str = ""
    api_url: str = ""
    allowed_prefixes: tuple[str, ...] = ()
    username: str = ""
    credential: Callable[[], str] | None = field(default=None, repr=False)
    read_over: str = "git"
    allow_private: bool = False
    name: str = ""

    def allows(self, path: str) -> bool:
        """Whether a path of this host may be read."""
        return not self.allowed_prefixes or any(below(path, prefix) for prefix in self.allowed_prefixes)

    def authorization(self) -> str | None:
        """The value of the Authorization header in the way this kind of host wants it; None without a credential.

        Raises:
            CredentialError: the secret is not where the reference says.
        """
        if self.credential is None:
            return None
        secret = self.credential()
        if self.username or self.kind in _BASIC:
            return basic(self.username, secret)
        return f"token {secret}" if self.kind == "gitea" else bearer(secret)

    def egress(self) -> EgressPolicy:
        """What may be reached for this host: the public internet, what settings add, itself where that is allowed."""
        policy = EgressPolicy.from_settings()
        return policy.plus(self.host) if self.allow_private else policy


@dataclass(slots=True)
class Call:
    """One call to a host, to be told what the answer said.

    Attributes:
        pause: seconds that the host asks to be left alone.
    """

    pause: float = 0.0


class Gate(Protocol):
    """What every call to a host goes through."""

    def call(self, config: HostConfig) -> AbstractContextManager[Call]:
        """Wait for the turn of a call, and learn from how it ends.

        Raises:
            ServiceUnavailableError: the host is left alone for now.
            CancelledError: the work was cancelled while waiting.
        """


class OpenGate:
    """Lets everything through at once."""

    @contextmanager
    def call(self, config: HostConfig) -> Iterator[Call]:
        yield Call()


# Read without a row and without a credential, as everybody may.
PUBLIC_HOSTS = (
    HostConfig("github.com", "github", "https://github.com", "https://api.github.com"),
    HostConfig("gitlab.com", "gitlab", "https://gitlab.com", "https://gitlab.com/api/v4"),
    HostConfig("bitbucket.org", "bitbucket", "https://bitbucket.org", "https://api.bitbucket.org/2.0"),
    HostConfig("dev.azure.com", "azure", "https://dev.azure.com", "https://dev.azure.com"),
)
_API_PATHS = {
    "github": "/api/v3",
    "gitlab": "/api/v4",
    "bitbucket-server": "/rest/api/1.0",
    "gitea": "/api/v1",
    "azure": "",
    "gerrit": "",
}


def usual_api_url(kind: str, host: str, base_url: str) -> str:
    """Where a host of this kind usually has its API; empty for kinds without one."""
    for public in PUBLIC_HOSTS:
        if public.host == host:
            return public.api_url
    return base_url + _API_PATHS[kind] if kind in _API_PATHS else ""
