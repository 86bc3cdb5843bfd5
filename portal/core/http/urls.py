"""What is a URL that may be requested, and how a URL is shown without its secrets."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

from portal.core.egress import normal_host
from portal.core.errors import InputError

MAX_URL = 8192
_PORTS = {"http": 80, "https": 443}
_SECRET_NAMES = re.compile(
    r"token|secret|passw|api_?key|^key$|^sig|signature|credential|^code$|auth", re.IGNORECASE
)


def check_url(url: str, *, schemes: tuple[str, ...] = ("http", "https")) -> SplitResult:
    """Split a URL that may be requested.

    Raises:
        InputError: another scheme, no host, a user or password inside, or characters that no URL has.
    """
    shown = mask_url(url)
    if len(url) > MAX_URL:
        raise _bad(shown, f"it has more than {MAX_URL} characters", "Shorten it.")
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise _bad(shown, "it holds a space, a backslash or a control character", "Percent-encode it.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad(shown, "its host or port cannot be read", "Write scheme://host/path.") from None
    if parts.scheme.lower() not in schemes:
        raise _bad(shown, f"its scheme is not {' or '.join(schemes)}", f"Begin it with {schemes[-1]}://.")
    if not parts.hostname or port == 0:
        raise _bad(shown, "it has no host", "Write scheme://host/path.")
    if "@" in parts.netloc:
        raise _bad(shown, "it holds a user or password", "Keep credentials in a connection, not in the URL.")
    normal_host(parts.hostname)
    return parts


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL: what credentials belong to.

    Raises:
        InputError: as :func:`check_url`.
    """
    parts = check_url(url)
    scheme = parts.scheme.lower()
    return scheme, normal_host(parts.hostname or ""), parts.port or _PORTS[scheme]


def mask_url(url: str) -> str:
    """A URL for messages: without user and password, with the values of secret-looking parameters masked."""
    try:
        parts = urlsplit(url[:MAX_URL])
    except ValueError:
        return re.sub(r"//[^/@]*@", "//***@", url[:MAX_URL])
    netloc = parts.netloc
    if "@" in netloc:
        netloc = "***@" + netloc.rpartition("@")[2]
    query = "&".join(_mask_parameter(parameter) for parameter in parts.query.split("&"))
    fragment = _mask_parameter(parts.fragment)
    return urlunsplit((parts.scheme, netloc, parts.path, query, fragment))


def _mask_parameter(parameter: str) -> str:
    name, separator, value = parameter.partition("=")
    return f"{name}=***" if separator and value and _SECRET_NAMES.search(name) else parameter


def _bad(shown: str, why: str, remedy: str) -> InputError:
    return InputError(f"The URL {shown[:200]} cannot be used: {why}.", code="http.url", remedy=remedy)
