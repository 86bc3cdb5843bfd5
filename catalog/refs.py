"""References: to an entity (``component:default/shop``) and to a location (``url:https://...``).

Grammar and casing are those of the catalog format, "entity references": the first colon separates the kind only when
it comes before the first slash, the first slash separates the namespace, everything after belongs to the name, and no
character is checked. Identity is the lower-cased triple.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from portal.core.errors import InputError

DEFAULT_NAMESPACE = "default"
_SCRIPT = re.compile(r"[\r\n\t]*".join("javascript:"), re.IGNORECASE)
_LEADING_CONTROL = "".join(map(chr, range(0x21)))


class RefError(InputError):
    """A text that is no reference.

    ``stock_name`` is the class that stock throws (``Error`` or ``TypeError``).
    """

    default_code = "catalog.ref"

    def __init__(self, message: str, *, code: str = "", remedy: str = "", stock_name: str = "Error") -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.stock_name = stock_name


class EntityRef(NamedTuple):
    """Kind, namespace and name as written; ``str()`` is the canonical, lower-case text."""

    kind: str
    namespace: str
    name: str

    @property
    def canonical(self) -> str:
        return canonical(self.kind, self.namespace, self.name)

    def __str__(self) -> str:
        return self.canonical


class LocationRef(NamedTuple):
    """Where something is read from: a type (``url``, ``file``) and a target; ``str()`` is ``type:target``."""

    type: str
    target: str

    def __str__(self) -> str:
        return f"{self.type}:{self.target}"


def canonical(kind: str, namespace: str, name: str) -> str:
    """The one text of a reference: all three parts, lower case."""
    return f"{kind}:{namespace}/{name}".lower()


def parse_ref(
    text: Any, *, default_kind: str | None = None, default_namespace: str | None = DEFAULT_NAMESPACE
) -> EntityRef:
    """Reads ``[kind:][namespace/]name``.

    Args:
        text: the reference; anything but a non-empty text is an error.
        default_kind: for a reference without kind; None makes the kind mandatory.
        default_namespace: for a reference without namespace (in a relation field: that of the declaring entity);
            None makes the namespace mandatory.

    Raises:
        RefError: codes ``catalog.ref.empty``, ``catalog.ref.shape``, ``catalog.ref.no-kind``,
            ``catalog.ref.no-namespace``.
    """
    if not text:
        raise RefError(
            "Entity reference must not be empty",
            code="catalog.ref.empty",
            remedy="Write kind:namespace/name, or remove the item.",
        )
    kind: str | None = None
    namespace: str | None = None
    name: Any = text
    if isinstance(text, str):
        colon, slash = text.find(":"), text.find("/")
        if -1 < slash < colon:
            colon = -1
        if colon >= 0:
            kind = text[:colon]
        if slash >= 0:
            namespace = text[colon + 1 : slash]
        name = text[max(colon, slash) + 1 :]
        if kind == "" or namespace == "" or name == "":
            raise RefError(
                f"Entity reference {_quoted(text)} is not of the form [<kind>:][<namespace>/]<name>",
                code="catalog.ref.shape",
                remedy="Write kind:namespace/name; a separator needs something on both sides.",
                stock_name="TypeError",
            )
    if kind is None:
        kind = default_kind
    if kind is None or not isinstance(name, str):
        raise RefError(
            f"Entity reference {_quoted(text)} has no kind, as in component:{name if isinstance(name, str) else 'x'}",
            code="catalog.ref.no-kind",
            remedy="Put the kind and a colon before the name.",
        )
    if namespace is None:
        namespace = default_namespace
    if namespace is None:
        raise RefError(
            f"Entity reference {_quoted(text)} has no namespace",
            code="catalog.ref.no-namespace",
            remedy="Put the namespace and a slash before the name.",
        )
    return EntityRef(kind, namespace, name)


def parse_location_ref(text: str) -> LocationRef:
    """Reads ``type:target``, as in ``url:https://github.com/acme/shop/blob/main/catalog-info.yaml``.

    Raises:
        RefError: no type or target, a bare http(s) address, or a ``javascript:`` target. Codes
            ``catalog.location-ref.shape``, ``catalog.location-ref.bare-url``, ``catalog.location-ref.script``.
    """
    kind, colon, target = text.partition(":")
    kind, target = kind.strip(), target.strip()
    if not colon or not kind or not target:
        raise RefError(
            f"Unable to parse location ref '{text}', expected '<type>:<target>', e.g. 'url:https://host/path'",
            code="catalog.location-ref.shape",
            remedy="Write url: and the address of the file.",
            stock_name="TypeError",
        )
    if kind in ("http", "https"):
        raise RefError(
            f"Invalid location ref '{text}', it needs the prefix 'url:', e.g. 'url:{text}'",
            code="catalog.location-ref.bare-url",
            remedy=f"Write url:{text}",
            stock_name="TypeError",
        )
    if is_script_url(target):
        raise RefError(
            f"Invalid location ref '{text}', a javascript: address is not accepted",
            code="catalog.location-ref.script",
            remedy="Use the https address of the file.",
            stock_name="TypeError",
        )
    return LocationRef(kind, target)


def is_script_url(text: str) -> bool:
    """Whether a browser would run the text as JavaScript when it follows it as a link."""
    return _SCRIPT.match(text.lstrip(_LEADING_CONTROL)) is not None


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
