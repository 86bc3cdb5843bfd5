"""Which connection an address falls under, and all of them as plain values."""

from __future__ import annotations

from functools import partial

from django.utils import timezone

from portal.connections.credentials import resolve_credential
from portal.connections.hosts import PUBLIC_HOSTS, READ, HostConfig, below, place_of, usual_api_url
from portal.connections.models import Connection
from portal.core.errors import NotAllowedError

REASON = "connections hold for everybody; their secrets are never shown"


def connection_for(url: str, purpose: str = READ) -> Connection | None:
    """The connection for an address: of those for its host and purpose, the one with the longest fitting prefix.

    Returns:
        None where no connection is for this host and purpose; it is then read without a credential.

    Raises:
        NotAllowedError: there are connections for this host and purpose, but the address lies outside of what each of
            them may reach.
    """
    host, path = place_of(url)
    rows = Connection.objects.unrestricted(REASON).filter(host=host, enabled=True)
    known = [row for row in rows if purpose in (row.purposes or [READ])]
    fitting = [(len(prefix), row) for row in known if (prefix := _longest(row, path)) is not None]
    if known and not fitting:
        raise NotAllowedError(
            f"{url[:200]} is outside of what the connections for {host} may reach.",
            code="connections.prefix",
            remedy=f"Widen the prefixes of {', '.join(sorted(row.name for row in known))}, or add a connection.",
        )
    return max(fitting, key=lambda pair: (pair[0], pair[1].name))[1] if fitting else None


def _longest(connection: Connection, path: str) -> str | None:
    """The longest allowed prefix that the path lies below; empty for a connection to all of its host."""
    if not connection.allowed_prefixes:
        return ""
    fitting = [prefix for prefix in connection.allowed_prefixes if below(path, prefix)]
    return max(fitting, key=len) if fitting else None


def host_config(connection: Connection) -> HostConfig:
    """A connection as a plain value; its secret is asked for when it is used."""
    base_url = (connection.base_url or f"https://{connection.host}").rstrip("/")
    return HostConfig(
        host=connection.host,
        kind=connection.kind,
        base_url=base_url,
        api_url=connection.api_url.rstrip("/") or usual_api_url(connection.kind, connection.host, base_url),
        allowed_prefixes=tuple(connection.allowed_prefixes),
        username=connection.username,
        credential=partial(resolve_credential, connection.credential) if connection.credential else None,
        read_over=connection.read_over,
        allow_private=connection.allow_private,
        name=connection.name,
    )


def host_configs(purpose: str = READ) -> list[HostConfig]:
    """Every host that may be used for a purpose: the enabled connections by name, then the public hosts without one.

    Several may be for one host, with different prefixes. One statement.
    """
    rows = Connection.objects.unrestricted(REASON).filter(enabled=True).order_by("name")
    configs = [host_config(row) for row in rows if purpose in (row.purposes or [READ])]
    named = {config.host for config in configs}
    return configs + [public for public in PUBLIC_HOSTS if public.host not in named]


def is_open(connection: Connection) -> bool:
    """Whether the circuit breaker keeps calls away from this host for now."""
    return connection.open_until is not None and connection.open_until > timezone.now()
