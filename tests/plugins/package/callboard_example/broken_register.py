"""Plugins whose registration breaks, some of them halfway."""

from __future__ import annotations

from typing import Any

from portal.plugins.points import HomeCard
from portal.plugins.registry import Registry

not_a_plugin = {"name": "a dictionary"}


def _card(key: str) -> HomeCard:
    def context(viewer: Any) -> dict[str, Any]:
        return {}

    return HomeCard(
        key=key, title=key, owner="broken", template="callboard_example/card.html", context=context
    )


class _Base:
    name = "Broken"
    version = "0"
    owner = "broken@acme.example"


class Halfway(_Base):
    def register(self, registry: Registry) -> None:
        registry.register(_card("broken-halfway"))
        raise RuntimeError("the second half is missing")


class Duplicate(_Base):
    def register(self, registry: Registry) -> None:
        registry.register(_card("broken-first"))
        registry.register(_card("kinds"))  # the catalog has that one


class OddKey(_Base):
    def register(self, registry: Registry) -> None:
        registry.register(_card("Not A Key"))


plugin, duplicate, odd_key = Halfway(), Duplicate(), OddKey()
