"""The guard before every outgoing connection: which addresses may be reached at all.

People register URLs, files name further URLs, servers redirect. None of that may make Callboard talk to the
machine it runs on, to neighbours in a private network or to a cloud's metadata service, unless an admin
allowed it. The guard resolves a name once and hands out the addresses that it approved; whoever connects goes
to one of these and never asks the name service again, so that an answer that changes in between (DNS
rebinding) is without effect.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

from portal.core.errors import EgressRefusedError, InputError, ServiceUnavailableError, TimedOutError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Seconds that the name service has for an answer, unless the caller has less.
RESOLVE_TIMEOUT = 10.0

# What is not the public internet, by the IANA registries of special-purpose addresses (RFC 6890 and updates).
# A table of our own rather than ipaddress.is_global: that one changed between patch releases of Python and
# knows neither the metadata services nor IPv4 addresses inside IPv6 ones.
_METADATA = "the metadata service of a cloud"
_SPECIAL: tuple[tuple[str, str], ...] = (
    ("169.254.169.254/32", _METADATA),
    ("169.254.170.2/32", _METADATA),  # container credentials
    ("100.100.100.200/32", _METADATA),  # inside the range of carrier networks
    ("168.63.129.16/32", _METADATA),  # a public address that only exists inside one cloud
    ("192.0.0.192/32", _METADATA),
    ("fd00:ec2::/32", _METADATA),
    ("fd20:ce::254/128", _METADATA),
    ("0.0.0.0/8", "an unspecified address"),
    ("10.0.0.0/8", "a private address"),
    ("100.64.0.0/10", "an address of a carrier's network"),
    ("127.0.0.0/8", "this machine itself"),
    ("169.254.0.0/16", "a link-local address"),
    ("172.16.0.0/12", "a private address"),
    ("192.0.0.0/24", "a reserved address"),
    ("192.0.2.0/24", "an address for documentation"),
    ("192.88.99.0/24", "a reserved address"),
    ("192.168.0.0/16", "a private address"),
    ("198.18.0.0/15", "an address for benchmarks"),
    ("198.51.100.0/24", "an address for documentation"),
    ("203.0.113.0/24", "an address for documentation"),
    ("224.0.0.0/4", "a multicast address"),
    ("240.0.0.0/4", "a reserved address"),
    ("::/128", "an unspecified address"),
    ("::1/128", "this machine itself"),
    ("100::/64", "a reserved address"),
    ("2001::/23", "a reserved address"),
    ("2001:db8::/32", "an address for documentation"),
    ("3fff::/20", "an address for documentation"),
    ("5f00::/16", "a reserved address"),
    ("fc00::/7", "a private address"),
    ("fe80::/10", "a link-local address"),
    ("fec0::/10", "a private address"),
    ("ff00::/8", "a multicast address"),
)
_SPECIAL_NETWORKS: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(net), what) for net, what in _SPECIAL
)
# What an entry that names a host does not open: nobody means these when allowing a host of their own.
_ONLY_BY_ADDRESS = (_METADATA, "an unspecified address", "a link-local address", "a multicast address")
# IPv6 ranges that carry an IPv4 address, and how far from the right it starts: the inner address counts.
_CARRIERS: tuple[tuple[ipaddress.IPv6Network, int], ...] = tuple(
    (ipaddress.IPv6Network(network), shift)
    for network, shift in (
        ("::ffff:0:0/96", 0),  # mapped
        ("::ffff:0:0:0/96", 0),  # translated
        ("::/96", 0),  # compatible, long deprecated
        ("64:ff9b::/96", 0),  # NAT64
        ("64:ff9b:1::/48", 0),  # NAT64, local use
        ("2002::/16", 80),  # 6to4
    )
)


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Which addresses beyond the public internet may be reached.

    Args:
        allowed: entries of one of these forms: ``git.corp`` (this host, whatever private address it has),
            ``git.corp:8443`` (only this port), ``10.1.2.3``, ``10.1.2.3:80``, ``[fd12::1]:443`` or
            ``10.1.0.0/16`` (addresses). Only an address entry opens link-local and metadata addresses.

    Raises:
        InputError: an entry has none of these forms.
    """

    allowed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for entry in self.allowed:
            _parse_entry(entry)

    @classmethod
    def from_settings(cls) -> EgressPolicy:
        """The base that settings give (``CALLBOARD_EGRESS_ALLOW``)."""
        return cls(tuple(settings.CALLBOARD_EGRESS_ALLOW))

    def plus(self, *entries: str) -> EgressPolicy:
        """This policy with further entries, such as the host of a connection."""
        return EgressPolicy(tuple(dict.fromkeys((*self.allowed, *entries))))


@dataclass(frozen=True, slots=True)
class Approved:
    """Where a connection may go: connect to these addresses, in this order, and to nothing else."""

    host: str
    port: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One parsed entry of an allow list: a host name or a network, perhaps with a port."""

    host: str
    network: Network | None
    port: int | None


def approve(host: str, port: int, policy: EgressPolicy, *, timeout: float = RESOLVE_TIMEOUT) -> Approved:
    """Resolve a host and keep the addresses that may be reached.

    Args:
        host: a name, or an IPv4 or IPv6 address (with or without brackets).
        port: 1 to 65535.
        policy: what is allowed besides the public internet.
        timeout: seconds for the name service.

    Raises:
        EgressRefusedError: none of the host's addresses may be reached.
        ServiceUnavailableError: the name does not resolve.
        TimedOutError: the name service did not answer in time.
        InputError: not a host name or port.
    """
    host = normal_host(host)
    if not 1 <= port <= 65535:
        raise InputError(f"{port} is not a port.", code="egress.port", remedy="Ports are 1 to 65535.")
    literal = _literal(host)
    found = [literal] if literal is not None else _lookup(host, port, timeout)
    refused = ""
    addresses = []
    for address in found:
        what = special_use(address)
        if not what or _is_allowed(host, port, address, what, policy):
            addresses.append(str(address))
        else:
            refused = refused or what
    if not addresses:
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise EgressRefusedError(
            f"Refused to connect to {place}: that is {refused}.",
            remedy="If it is meant to be read, an admin allows it: a connection for this host with private"
            " addresses allowed, or CALLBOARD_EGRESS_ALLOW.",
        )
    return Approved(host, port, tuple(addresses))


def special_use(address: Address) -> str:
    """What an address outside the public internet is (``a private address``); empty for public ones."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return "a link-local address"
        for network, what in _SPECIAL_NETWORKS:
            if network.version == 6 and network.prefixlen == 128 and address in network:
                return what
        for carrier, shift in _CARRIERS:
            if address in carrier:
                return special_use(ipaddress.IPv4Address((int(address) >> shift) & 0xFFFFFFFF))
    for network, what in _SPECIAL_NETWORKS:
        if network.version == address.version and address in network:
            return what
    return ""


def normal_host(host: str) -> str:
    """The one spelling of a host: lower case, ASCII, without brackets or a final dot.

    Raises:
        InputError: not a host name.
    """
    name = host.strip()
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    if ":" in name or "%" in name:
        if _literal(name) is None:
            raise _no_host(host)
        return name.lower()
    name = name.rstrip(".").lower()
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            raise _no_host(host) from None
    if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?", name) or ".." in name:
        raise _no_host(host)
    return name


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, as the machine's name service gives them."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


def _no_host(host: str) -> InputError:
    return InputError(f"{host[:100]!r} is not a host name.", code="egress.host", remedy="Correct the host.")


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _lookup(host: str, port: int, timeout: float) -> list[Address]:
    """Ask the name service, for as long as we care to wait: the call itself knows no time-out."""
    answer: list[str] = []
    problem: list[OSError] = []

    def ask() -> None:
        try:
            answer.extend(resolve(host, port))
        except OSError as error:
            problem.append(error)

    thread = threading.Thread(target=ask, name="resolve", daemon=True)
    thread.start()
    thread.join(max(0.0, timeout))
    if thread.is_alive():
        raise TimedOutError(
            f"The name service did not answer within {timeout:.1f} s for {host}.",
            code="egress.resolve-timeout",
            remedy="Try again; check the name servers of this machine if it goes on.",
        )
    if problem or not answer:
        reason = f" ({problem[0].strerror})" if problem and problem[0].strerror else ""
        raise ServiceUnavailableError(
            f"The host {host} could not be found{reason}.",
            code="egress.unresolved",
            remedy="Check the spelling of the host, and that this machine can resolve it.",
        )
    return [ipaddress.ip_address(text) for text in answer]


def _is_allowed(host: str, port: int, address: Address, what: str, policy: EgressPolicy) -> bool:
    for text in policy.allowed:
        entry = _parse_entry(text)
        if entry.port not in (None, port):
            continue
        if entry.network is not None:
            if address.version == entry.network.version and address in entry.network:
                return True
        elif entry.host == host and what not in _ONLY_BY_ADDRESS:
            return True
    return False


@lru_cache(maxsize=1024)
def _parse_entry(text: str) -> _Entry:
    try:
        return _Entry("", ipaddress.ip_network(text.strip("[] "), strict=False), None)
    except ValueError:
        pass  # not a bare address or network: a host, or something with a port
    match = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]+)(?::(\d{1,5}))?", text.strip())
    if match is None:
        raise InputError(
            f"{text!r} is not an entry for allowed addresses.",
            code="egress.entry",
            remedy="Write host, host:port, an address or a network such as 10.1.0.0/16.",
        )
    host, port = normal_host(match[1]), int(match[2]) if match[2] else None
    literal = _literal(host)
    return _Entry(host, None if literal is None else ipaddress.ip_network(literal), port)


def join_addresses(addresses: Iterable[str]) -> str:
    """Addresses in the form curl's resolve option takes: comma-separated, IPv6 in brackets."""
    return ",".join(f"[{address}]" if ":" in address else address for address in addresses)
