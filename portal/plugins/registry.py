"""Every extension of this process, and whether it is on."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import TypeVar

from django.db import DatabaseError

from portal.core.errors import ConflictError, InputError
from portal.plugins.models import ExtensionState
from portal.plugins.points import POINTS, Extension

E = TypeVar("E", bound=Extension)
_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}")
SWITCH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A plugin as it was found; ``error`` says why it could not be loaded."""

    name: str
    version: str = ""
    owner: str = ""
    error: str = ""


class Registry:
    """Extensions by point. Filled while the process starts, read by everyone."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Extension]] = {kind.point: {} for kind in POINTS}
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
            raise InputError(f"There is no extension point {extension.point!r}.", code="plugins.point.unknown")
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

    def remove(self, full_keys: set[str]) -> None:
        """Take extensions out again, so that a plugin that broke halfway leaves nothing behind."""
        for point in self._entries.values():
            for key in [k for k, e in point.items() if e.full_key in full_keys]:
                del point[key]

    def all(self, kind: type[E]) -> list[E]:
        """Extensions of a point in order, on or off."""
        entries = self._entries[kind.point].values()
        return sorted((e for e in entries if isinstance(e, kind)), key=lambda e: (e.order, e.key))

    def active(self, kind: type[E]) -> list[E]:
        """Extensions of a point that are on, in order. At most one statement a second in each process."""
        off = self.switched_off()
        return [e for e in self.all(kind) if e.full_key not in off]

    def switched_off(self) -> frozenset[str]:
        if time.monotonic() - self._read_at > SWITCH_SECONDS:
            with self._lock:
                rows = ExtensionState.objects.unrestricted("the switches hold for everybody").filter(enabled=False)
                try:
                    self._off = frozenset(rows.values_list("key", flat=True))
                except DatabaseError:
                    if self._read_at == float("-inf"):
                        raise
                    # Keep what was known: a page must not lose its tabs because a switch could not be read.
                self._read_at = time.monotonic()
        return self._off

    def forget_switches(self) -> None:
        """Read the switches anew at the next question."""
        self._read_at = float("-inf")


registry = Registry()
