"""Who may be talked to, as whom, and over which open connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from catalog.ingest.hosts import FileUrl, Host, Hosts, HostType
from catalog.ingest.sources.base import Limits
from portal.connections.hosts import Gate, HostConfig, below, place_of
from portal.core.egress import EgressPolicy
from portal.core.errors import InputError, NotAllowedError
from portal.core.git import GitCredential, Repository
from portal.core.http import Client, Response

_TYPES: dict[str, HostType] = {
    "github": "github",
    "gitlab": "gitlab",
    "bitbucket": "bitbucketCloud",
    "bitbucket-server": "bitbucketServer",
    "azure": "azure",
    "gitea": "gitea",
    "gerrit": "gerrit",
}
# The user name that goes with an access token when Git asks over https and the connection names none.
_TOKEN_USERS = {"github": "x-access-token", "gitlab": "oauth2", "bitbucket": "x-token-auth"}


def hosts_of(configs: Iterable[HostConfig]) -> Hosts:
    """The source code hosts among connections."""
    return Hosts(Host(c.host, _TYPES[c.kind], c.base_url) for c in configs if c.kind in _TYPES)


class Reach:
    """The hosts that a session may read from.

    Args:
        configs: all connections for reading; several may be for one host, with different prefixes.
        file_roots: folders below which files and local repositories may be read.
        git_cache: folder of the caches of Git repositories.
        limits: what may be spent.
        cancelled: looked at while waiting.
        gate: what every call to a host with a connection goes through.
    """

    def __init__(
        self,
        configs: Sequence[HostConfig],
        *,
        file_roots: Sequence[Path],
        git_cache: Path,
        limits: Limits,
        cancelled: Callable[[], bool],
        gate: Gate,
    ) -> None:
        self.hosts = hosts_of(configs)
        self.file_roots = tuple(file_roots)
        self.limits = limits
        self._configs: dict[str, list[HostConfig]] = {}
        for config in configs:
            self._configs.setdefault(config.host, []).append(config)
        self._git_cache = git_cache
        self._cancelled = cancelled
        self._gate = gate
        # Every reader asks for the same address several times in a row.
        self.config = lru_cache(maxsize=256)(self._find_config)
        self.file = lru_cache(maxsize=256)(self._find_file)
        self._clients: dict[EgressPolicy, Client] = {}
        self._repositories: dict[tuple[str, str], Repository] = {}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _find_config(self, url: str) -> HostConfig | None:
        """The connection for an address: the one with the longest fitting prefix; None for an unknown host.

        Raises:
            NotAllowedError: there are connections for the host, and the address is outside of what all may read.
            InputError: the path of the address climbs.
        """
        host, path = place_of(url)
        if not host:
            raise InputError(
                f"The address {url[:200]} cannot be used.",
                code="catalog.source.address",
                remedy="Write scheme://host/path, without .. in the path.",
            )
        known = self._configs.get(host, [])
        fitting = [
            (max((len(p) for p in config.allowed_prefixes if below(path, p)), default=0), -position, config)
            for position, config in enumerate(known)
            if config.allows(path)
        ]
        if known and not fitting:
            raise NotAllowedError(
                f"{url[:200]} is outside of what the connections for {host} may reach.",
                code="connections.prefix",
                remedy=f"Widen the prefixes of {', '.join(sorted(config.name or config.host for config in known))}.",
            )
        return max(fitting)[2] if fitting else None

    def _find_file(self, url: str) -> FileUrl | None:
        """The repository behind an address; None where it is an ordinary address, such as one of the host's API.

        Raises:
            InputError: the path of the address climbs.
            NotAllowedError: the address is outside of what the connections for its host may read.
        """
        if self.hosts.by_url(url) is None:
            return None
        config = self.config(url)
        api = config.api_url if config is not None and config.api_url != config.base_url else ""
        if api and url.startswith(f"{api}/"):
            return None
        try:
            return self.hosts.file(url)
        except ValueError as error:
            raise InputError(
                f"{error}.", code="catalog.source.path", remedy="Write the path without .. in it."
            ) from None

    def get(self, url: str, config: HostConfig | None, **options: Any) -> Response:
        """Read a URL with the credential of its host. Arguments and errors as :meth:`portal.core.http.Client.get`.

        Raises:
            CredentialError: the credential of the connection cannot be had.
            ServiceUnavailableError: the host is left alone for now.
        """
        client = self._client(config)
        if config is None:
            return client.get(url, **options)
        auth = config.authorization()
        with self._gate.call(config) as call:
            response = client.get(url, auth=auth, **options)
            call.pause = response.pause
        return response

    def _client(self, config: HostConfig | None) -> Client:
        """An HTTP client that may reach this host; connections stay open for the whole session."""
        policy = config.egress() if config is not None else EgressPolicy.from_settings()
        if policy not in self._clients:
            self._clients[policy] = Client(
                policy,
                timeout=self.limits.request_seconds,
                max_bytes=self.limits.file_bytes,
                cancelled=self._cancelled,
            )
        return self._clients[policy]

    def repository(self, url: str, config: HostConfig | None) -> Repository:
        """A Git repository, the same object for the whole session.

        Raises:
            InputError, NotAllowedError, NotFoundError: as :class:`portal.core.git.Repository`.
            CredentialError: the credential of the connection cannot be had.
        """
        key = (url, config.name if config is not None else "")
        if key not in self._repositories:
            credential = None
            if config is not None and config.credential is not None:
                username = config.username or _TOKEN_USERS.get(config.kind, "git")
                credential = GitCredential(config.credential(), username)
            self._repositories[key] = Repository(
                url,
                cache=self._git_cache,
                policy=config.egress() if config is not None else EgressPolicy.from_settings(),
                credential=credential,
                file_roots=self.file_roots,
                timeout=self.limits.fetch_seconds,
                max_bytes=self.limits.repository_bytes,
                cancelled=self._cancelled,
                guard=partial(self._gate.call, config) if config is not None else nullcontext,
            )
        return self._repositories[key]
