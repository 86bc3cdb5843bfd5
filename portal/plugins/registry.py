"""Every extension of this process, and whether it is on."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from django.db import DatabaseError

from portal.core.errors import ConflictError, InputError
from portal.plugins.models import ExtensionState
from portal.plugins.points import POINTS, Extension

E = TypeVar("E", bound=Extension)
_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}")
SWITCH_SECONDS = 1.0


class Asking(Protocol):
    """What the registry needs of a viewer, whose class lives above this package."""

    def allows(self, action: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A plugin as it was found; ``error`` says why it could not be loaded.

    Attributes:
        entry: name of its entry point, unique; its switch is ``plugin:<entry>``.
        target: what the entry point names.
    """

    name: str
    version: str = ""
    owner: str = ""
    error: str = ""
    entry: str = ""
    target: str = ""

    @property
    def switch(self) -> str:
        return f"plugin:{self.entry}"


class Registry:
    """Extensions by point. Filled while the process starts, read by everyone."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Extension]] = {kind.point: {} for kind in POINTS}
        self._plugin_of: dict[str, str] = {}
        self._loading = ""
        self._off: frozenset[str] = frozenset()
        self._read_at = float("-inf")
        self._lock = threading.Lock()
        self.plugins: list[LoadedPlugin] = []

    def register(self, extension: Extension) -> None:
        """Add one extension.

        Raises:
            InputError: the key or point is not valid.
            ConflictError: the point has that key already.
        """
        point = self._entries.get(extension.point)
        if point is None:
            raise InputError(
                f"There is no extension point {extension.point!r}.", code="plugins.point.unknown"
            )
        if not _KEY.fullmatch(extension.key):
            raise InputError(
                f"The key {extension.key!r} of {extension.point} has other characters than a-z, 0-9, _ and -.",
                code="plugins.key.invalid",
            )
        if extension.key in point:
            raise ConflictError(
                f"{extension.full_key} is registered by {point[extension.key].owner} already.",
                code="plugins.key.taken",
                remedy="Choose another key.",
            )
        point[extension.key] = extension
        self._plugin_of[extension.full_key] = self._loading

    @contextmanager
    def registering(self, plugin: str) -> Iterator[None]:
        """What is registered inside belongs to ``plugin``; when it breaks halfway nothing of it stays."""
        before = set(self._plugin_of)
        self._loading = plugin
        try:
            yield
        except BaseException:
            self.remove(set(self._plugin_of) - before)
            raise
        finally:
            self._loading = ""

    def remove(self, full_keys: set[str]) -> None:
        """Take extensions out again."""
        for point in self._entries.values():
            for key in [k for k, e in point.items() if e.full_key in full_keys]:
                self._plugin_of.pop(point[key].full_key, None)
                del point[key]

    def all(self, kind: type[E]) -> list[E]:
        """Extensions of a point in order, on or off."""
        entries = self._entries[kind.point].values()
        return sorted((e for e in entries if isinstance(e, kind)), key=lambda e: (e.order, e.key))

    def of_plugin(self, plugin: str) -> list[Extension]:
        """Everything a plugin registered, by point and key; ``plugin`` is the name of its entry point."""
        found = (e for point in self._entries.values() for e in point.values())
        return sorted((e for e in found if self.plugin_of(e) == plugin), key=lambda e: e.full_key)

    def plugin_of(self, extension: Extension) -> str:
        return self._plugin_of.get(extension.full_key, "")

    def knows(self, switch: str) -> bool:
        """Whether there is such a switch: ``point:key`` of an extension, or ``plugin:entry``."""
        return switch in self._plugin_of or any(plugin.switch == switch for plugin in self.plugins)

    def is_on(self, extension: Extension) -> bool:
        """Neither it nor its whole plugin is switched off."""
        off = self.switched_off()
        return extension.full_key not in off and f"plugin:{self.plugin_of(extension)}" not in off

    def active(self, kind: type[E], viewer: Asking | None = None) -> list[E]:
        """Extensions of a point that are on, in order; with ``viewer`` only those the viewer may use.

        At most one statement a second in each process.
        """
        return [
            e
            for e in self.all(kind)
            if self.is_on(e) and (viewer is None or not e.permission or viewer.allows(e.permission))
        ]

    def switched_off(self) -> frozenset[str]:
        """The switches that are off, at most a second old."""
        if time.monotonic() - self._read_at > SWITCH_SECONDS:
            with self._lock:
                if time.monotonic() - self._read_at > SWITCH_SECONDS:
                    self._read_switches()
        return self._off

    def _read_switches(self) -> None:
        rows = ExtensionState.objects.unrestricted("the switches hold for everybody").filter(enabled=False)
        try:
            self._off = frozenset(rows.values_list("key", flat=True))
        except DatabaseError:
            if self._read_at == float("-inf"):
                raise
            # Keep what was known: a page must not lose its tabs because a switch could not be read.
        self._read_at = time.monotonic()

    def forget_switches(self) -> None:
        """Read the switches anew at the next question."""
        self._read_at = float("-inf")


registry = Registry()
