"""Addresses as browsers and Node read them (the WHATWG URL rules), as far as descriptors need them.

Python's own ``urllib`` accepts and joins differently: it takes ``not a url`` for an address, keeps ``%2e%2e`` as a
folder, and knows no relative paths for schemes such as ``ssh``.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

_STRIP = "".join(map(chr, range(0x21)))
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_USUAL = re.compile(r"https?://(?:[a-z0-9][a-z0-9-]*\.)+[a-z]+(?:[/?#]|\Z)")
_SPECIAL_PORTS = {"http": "80", "https": "443", "ftp": "21", "ws": "80", "wss": "443"}
_REMOVED = str.maketrans("", "", "\t\n\r")
_FORBIDDEN_HOST = re.compile(r"[\x00-\x20#/:<>?@\[\\\]^|\x7f]")
_FORBIDDEN_DOMAIN = re.compile(r"[\x00-\x20#/:<>?@\[\\\]^|%\x7f]")
_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_UNSAFE_IN_PATH = re.compile(r'[^\x21\x23-\x3b\x3d\x40-\x5f\x61-\x7a\x7c\x7e]|"')
_DOT = {".", "%2e", "%2E"}
_DOTS = {"..", ".%2e", ".%2E", "%2e.", "%2E.", "%2e%2e", "%2e%2E", "%2E%2e", "%2E%2E"}


def _plain(text: str) -> str:
    return (
        text
        if text.isascii() and text.isprintable() and " " not in text
        else text.strip(_STRIP).translate(_REMOVED)
    )


def is_url(text: str) -> bool:
    """Whether the text is an absolute address, of any scheme (``mailto:`` and ``javascript:`` are)."""
    if _USUAL.match(text) is not None:
        return True
    text = _plain(text)
    match = _SCHEME.match(text)
    if match is None:
        return False
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme in _SPECIAL_PORTS:
        authority = re.split(r"[/\\?#]", rest.lstrip("/\\"), maxsplit=1)[0]
        return _is_authority(authority, special=True)
    if scheme == "file" or not rest.startswith("//"):
        return True
    authority = re.split(r"[/?#]", rest[2:], maxsplit=1)[0]
    return not authority or _is_authority(authority, special=False)


def _is_authority(authority: str, *, special: bool) -> bool:
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        address, bracket, port = host[1:].partition("]")
        if not bracket or (port and port[0] != ":"):
            return False
        try:
            ipaddress.IPv6Address(address)
        except ValueError:
            return False
        return _is_port(port[1:])
    host, _, port = host.partition(":")
    if not host or not _is_port(port):
        return False
    if not special:
        return _FORBIDDEN_HOST.search(host) is None
    name = unquote_to_bytes(host).decode("utf-8", "replace")
    return _FORBIDDEN_DOMAIN.search(name) is None and _is_domain(name)


def _is_port(port: str) -> bool:
    return not port or (port.isascii() and port.isdigit() and int(port) < 65536)


def _is_domain(name: str) -> bool:
    """A domain whose last label is a number has to be an IPv4 address as browsers write them."""
    labels = name.removesuffix(".").split(".")
    numbers = [_number(label) for label in labels]
    if numbers[-1] is None:
        return bool(name) and not any(label.lower() == "xn--" for label in labels)
    limits = [256] * (len(labels) - 1) + [256 ** (5 - len(labels)) if len(labels) < 5 else 0]
    return all(
        number is not None and 0 <= number < limit for number, limit in zip(numbers, limits, strict=True)
    )


def _number(label: str) -> int | None:
    """A part of an IPv4 address (hexadecimal, octal or decimal); -1 for a number that is none, None for a name."""
    if re.fullmatch(r"0[xX][0-9a-fA-F]*", label):
        return int(label[2:] or "0", 16)
    if not re.fullmatch(r"[0-9]+", label):
        return None
    if label[0] == "0" and len(label) > 1:
        return int(label, 8) if len(label) < 40 and not re.search("[89]", label) else -1
    return int(label) if len(label) < 40 else -1


def split_url(url: str) -> tuple[str, str, str, str, str]:
    """Scheme, authority, path, query with its ``?`` and fragment with its ``#``.

    Raises:
        ValueError: not an absolute address.
    """
    match = _PARTS.fullmatch(_plain(url))
    if match is None:
        raise ValueError(f"{url!r} is not an absolute address")
    scheme, authority, path, query, fragment = match.groups()
    return scheme.lower(), authority or "", path, query or "", fragment or ""


@lru_cache(maxsize=4096)
def host_of(url: str) -> str:
    """Host and, if it is not the usual one of the scheme, port, lower case; empty for what is no address."""
    try:
        scheme, authority, _, _, _ = split_url(url)
    except ValueError:
        return ""
    host = authority.rpartition("@")[2].lower()
    usual = _SPECIAL_PORTS.get(scheme)
    return host.removesuffix(f":{usual}") if usual else host


def join_url(base: str, relative: str) -> str:
    """A relative address seen from another: its last path segment is a file, ``..`` cannot leave the host.

    Args:
        base: absolute address.
        relative: an address that is not absolute: ``./a.yaml``, ``/a.yaml``, ``?x=1``, ``//host/a``.

    Raises:
        ValueError: the base is not an absolute address with a host.
    """
    scheme, authority, path, query, _ = split_url(base)
    if not authority and scheme != "file":
        raise ValueError(f"{base!r} is not an absolute address")
    authority = _plain_authority(scheme, authority)
    relative = _plain(relative)
    head, hash_mark, fragment = relative.partition("#")
    way, question, asked = head.partition("?")
    if scheme in _SPECIAL_PORTS or scheme == "file":
        way = way.replace("\\", "/")
    if way.startswith("//"):
        return join_url(f"{scheme}:{relative}", "")
    if way or question:
        query = f"?{asked}" if question else ""
    if way:
        path = way if way.startswith("/") else f"{path.rpartition('/')[0]}/{way}"
    return f"{scheme}://{authority}{_without_dots(path)}{query}{hash_mark}{fragment}"


def _plain_authority(scheme: str, authority: str) -> str:
    user, at, host = authority.rpartition("@")
    if scheme in _SPECIAL_PORTS:
        host = host.lower().removesuffix(f":{_SPECIAL_PORTS[scheme]}")
    return f"{user}{at}{host}"


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")[1:]
    for position, segment in enumerate(segments):
        last = position == len(segments) - 1
        if segment in _DOTS:
            if kept:
                kept.pop()
            if last:
                kept.append("")
        elif segment in _DOT:
            if last:
                kept.append("")
        else:
            kept.append(segment)
    return _UNSAFE_IN_PATH.sub(_percent, "/" + "/".join(kept))


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "replace"))
