"""Finding plugins: Python entry points of the group ``callboard.plugins``."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, runtime_checkable

import structlog

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
    seen = {plugin.entry: plugin.target for plugin in into.plugins}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        if entry.name not in seen:
            seen[entry.name] = entry.value
            into.plugins.append(_load(entry, into))
        elif seen[entry.name] != entry.value:
            error = f"another package has a plugin named {entry.name} as well ({seen[entry.name]}), which was loaded"
            into.plugins.append(
                LoadedPlugin(name=entry.name, entry=entry.name, target=entry.value, error=error)
            )


def _load(entry: EntryPoint, into: Registry) -> LoadedPlugin:
    where = {"entry": entry.name, "target": entry.value}
    try:
        plugin = entry.load()
        if not isinstance(plugin, Plugin):
            raise TypeError(f"{entry.value} has no name, version, owner and register()")
        with into.registering(entry.name):
            plugin.register(into)
    except (Exception, SystemExit) as error:
        # A third party's defect, of any type: the house starts without it and says so on the plugins page.
        log.exception("plugin_broken", plugin=entry.name, target=entry.value)
        return LoadedPlugin(name=entry.name, error=f"{type(error).__name__}: {error}"[:500], **where)
    return LoadedPlugin(name=str(plugin.name), version=str(plugin.version), owner=str(plugin.owner), **where)
