"""``$text``, ``$json`` and ``$yaml``: values that stand in other files (catalog format, placeholders)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from catalog.ingest.hosts import Hosts
from catalog.ingest.problems import Problem, pointer, shorten
from catalog.ingest.urls import is_url, split_url
from catalog.refs import LocationRef
from portal.core.errors import CallboardError
from portal.core.yaml import js_number, load_documents

ReadPlaceholder = Callable[[LocationRef], bytes]
_KNOWN = frozenset(("$text", "$json", "$yaml"))
_POLLUTING = "__proto__"


class PlaceholderError(Exception):
    """One placeholder cannot be replaced."""

    def __init__(self, rule: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.rule, self.message, self.remedy = rule, message, remedy


class Placeholders:
    """Replaces the placeholders of one document.

    Args:
        location: the file that the document stands in.
        hosts: for relative addresses and the rule of the same repository.
        read: gets the absolute place of a file and returns its bytes; raises a :class:`CallboardError`.

    Attributes:
        reads: every place that was read, in order, each once.
        problems: of the placeholders that could not be replaced; their mappings stay as they are.
    """

    def __init__(self, location: LocationRef, hosts: Hosts, read: ReadPlaceholder) -> None:
        self.location = location
        self.hosts = hosts
        self.read = read
        self.reads: list[LocationRef] = []
        self.problems: list[Problem] = []

    def replace(self, entity: dict[str, Any]) -> dict[str, Any]:
        """The entity with its placeholders replaced; itself where it has none. Nothing is changed in place."""
        replaced: dict[str, Any] = self._visit(entity, ())
        return replaced

    def _visit(self, value: Any, path: tuple[str | int, ...]) -> Any:
        # Most values have no placeholder below: the same object comes back, and nothing is copied.
        if isinstance(value, dict):
            changes: dict[str, Any] | None = None
            for key in value:
                if key[:1] == "$":
                    return self._dollar(value, path)
            for key, item in value.items():
                if isinstance(item, dict | list) and item:
                    new = self._visit(item, (*path, key))
                    if new is not item:
                        changes = dict(value) if changes is None else changes
                        changes[key] = new
            if _POLLUTING in value:  # lost in stock, whose objects have it as their prototype
                changes = dict(value) if changes is None else changes
                del changes[_POLLUTING]
            return value if changes is None else changes
        items: list[Any] | None = None
        for index, item in enumerate(value):
            if isinstance(item, dict | list) and item:
                new = self._visit(item, (*path, index))
                if new is not item:
                    items = list(value) if items is None else items
                    items[index] = new
        return value if items is None else items

    def _dollar(self, value: dict[str, Any], path: tuple[str | int, ...]) -> Any:
        """A mapping with a key that begins with ``$``: a placeholder only when it is the sole key and known."""
        key = next(iter(value))
        if len(value) != 1 or key not in _KNOWN:
            return value
        target = value[key]
        try:
            return self._resolve(key, target)
        except PlaceholderError as error:
            self.problems.append(
                Problem(
                    f"catalog.placeholder.{error.rule}",
                    f"Placeholder {key} {error.message}",
                    pointer(*path, key),
                    shorten(target),
                    remedy=error.remedy,
                )
            )
            return value

    def _resolve(self, key: str, target: Any) -> Any:
        if not isinstance(target, str):
            raise PlaceholderError(
                "not-text",
                f"needs a text, an absolute address or a relative path, found {shorten(target)}",
                "Write the path of the file.",
            )
        place = self._place(target)
        try:
            data = self.read(place)
        except CallboardError as error:
            raise PlaceholderError(
                "unreadable",
                f"could not read {target}: {error.message}",
                error.remedy or "Check the path of the file.",
            ) from error
        if place not in self.reads:
            self.reads.append(place)
        return _PARSERS[key](data, target)

    def _place(self, target: str) -> LocationRef:
        try:
            place = resolve_place(target, self.location, self.hosts)
            if place.type == "url" and self.location.type == "url":
                same = self.hosts.same_repository(place.target, self.location.target)
            else:
                same = True
        except ValueError as error:
            raise PlaceholderError(
                "unresolvable",
                f"leads from {self.location.target} to no file with {target}: {error}",
                "Check the path.",
            ) from error
        if not same:
            raise PlaceholderError(
                "other-repository",
                f"names {target}: it may only name files of the same repository as the entity",
                "Copy the file into this repository.",
            )
        return place


def resolve_place(target: str, location: LocationRef, hosts: Hosts) -> LocationRef:
    """The absolute place of a file that a document names.

    Args:
        target: an address, or a path seen from the file of the document; in a ``file`` location always seen from that
            file, which stock refuses.
        location: the file of the document.

    Raises:
        ValueError: neither the one nor the other, an address that is not http or https, or a path that would begin at
            the root of the disk.
    """
    if is_url(target) or location.type != "file":
        resolved = hosts.resolve(target, location.target)
        if split_url(resolved)[0] not in ("http", "https") and is_url(target):
            raise ValueError("only http and https addresses are read")
        return LocationRef("url", resolved)
    if target.startswith("/"):
        raise ValueError("a path has to be relative to the descriptor")
    return LocationRef("file", join_path(location.target, target))


def join_path(base: str, relative: str) -> str:
    """A relative path seen from a file, ``.`` and ``..`` worked out; cannot leave the root."""
    parts: list[str] = []
    for part in [*base.replace("\\", "/").split("/")[:-1], *relative.split("/")]:
        if part == "..":
            if parts and parts[-1]:
                parts.pop()
        elif part != "." and (part or not parts):
            parts.append(part)
    return "/".join(parts)


def _text(data: bytes, target: str) -> str:
    # As stock: a byte that is not UTF-8 becomes the replacement character.
    return data.decode("utf-8-sig", "replace")


def _json(data: bytes, target: str) -> Any:
    try:
        return json.loads(
            _text(data, target), parse_constant=_no_constant, parse_int=_number, parse_float=_number
        )
    except (ValueError, RecursionError) as error:
        raise PlaceholderError(
            "json", f"failed to parse JSON data at {target}: {error}", "Repair the JSON."
        ) from error


def _number(text: str) -> int | float | None:
    return js_number(int(text) if text.lstrip("-").isdigit() and len(text) < 19 else float(text))


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _yaml(data: bytes, target: str) -> Any:
    documents = list(load_documents(data, keep_empty=True))
    for document in documents:
        if document.error is not None:
            raise PlaceholderError(
                "yaml",
                f"found an error in the YAML data at {target}: {document.error}",
                document.error.remedy,
            )
    if len(documents) != 1:
        raise PlaceholderError(
            "yaml-documents",
            f"expected exactly one YAML document at {target}, found {len(documents)}",
            "Keep one document in the file.",
        )
    return documents[0].value


_PARSERS: dict[str, Callable[[bytes, str], Any]] = {"$text": _text, "$json": _json, "$yaml": _yaml}
