"""Finding plugins: Python entry points of the group ``callboard.plugins``."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, runtime_checkable

import structlog

from portal.plugins.points import POINTS
from portal.plugins.registry import LoadedPlugin, Registry, registry

log = structlog.get_logger(__name__)
GROUP = "callboard.plugins"


@runtime_checkable
class Plugin(Protocol):
    """What an entry point has to name."""

    name: str
    version: str
    owner: str

    def register(self, registry: Registry) -> None: ...


def load_plugins(into: Registry = registry) -> None:
    """Load every installed plugin. One that breaks is listed with its error and leaves nothing registered."""
    seen = {plugin.name for plugin in into.plugins}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        if entry.name not in seen:
            seen.add(entry.name)
            into.plugins.append(_load(entry, into))


def _load(entry: EntryPoint, into: Registry) -> LoadedPlugin:
    before = {e.full_key for kind in POINTS for e in into.all(kind)}
    try:
        plugin = entry.load()
        if not isinstance(plugin, Plugin):
            raise TypeError(f"{entry.value} has no name, version, owner and register()")
        plugin.register(into)
    except Exception as error:
        # A third party's defect, of any type: the house starts without it and says so on the plugins page.
        log.exception("plugin_broken", plugin=entry.name)
        into.remove({e.full_key for kind in POINTS for e in into.all(kind)} - before)
        return LoadedPlugin(name=entry.name, error=f"{type(error).__name__}: {error}"[:500])
    return LoadedPlugin(name=plugin.name, version=plugin.version, owner=plugin.owner)
