"""Loads well, then misbehaves in each way that a page can meet."""

from __future__ import annotations

import time
from typing import Any

from portal.plugins.points import EntityCard, EntityTab, HealthCheck, HomeCard, NavItem, Pages
from portal.plugins.registry import Registry

OWNER = "unruly@acme.example"
T = "callboard_example/"


def slow(viewer: Any) -> dict[str, Any]:
    time.sleep(2)
    return {"said": "at last"}


def raising(*_: Any) -> dict[str, Any]:
    raise ZeroDivisionError("the card divides by nothing")


def fine(*_: Any) -> dict[str, Any]:
    return {"said": "never shown"}


class UnrulyPlugin:
    name = "Unruly"
    version = "0"
    owner = OWNER

    def register(self, registry: Registry) -> None:
        def card(key: str, context: Any, template: str = "card.html", deadline: float | None = None) -> None:
            registry.register(
                HomeCard(
                    key=key, title=key, owner=OWNER, template=T + template, context=context, deadline=deadline
                )
            )

        card("unruly-slow", slow, deadline=0.2)
        card("unruly-raising", raising)
        card("unruly-raising-in-thread", raising, deadline=1.0)
        card("unruly-no-template", fine, "not_there.html")
        card("unruly-template-raises", lambda viewer: {"said": _Bomb()})
        registry.register(
            EntityCard(
                key="unruly",
                title="Unruly",
                owner=OWNER,
                template=f"{T}card.html",
                context=fine,
                applies=raising,
            )
        )
        registry.register(
            EntityTab(
                key="unruly",
                title="Unruly tab",
                owner=OWNER,
                icon="info",
                template=f"{T}not_there.html",
                context=fine,
            )
        )
        registry.register(
            NavItem(key="unruly", title="Unruly page", owner=OWNER, icon="info", url_name="unruly:nobody")
        )
        registry.register(
            NavItem(
                key="unruly-count",
                title="Counted",
                owner=OWNER,
                icon="info",
                url_name="web:home",
                count=raising,
            )
        )
        registry.register(
            HealthCheck(key="unruly", title="Unruly", owner=OWNER, check=lambda: "the disk is full")
        )
        registry.register(
            Pages(key="unruly", title="Unruly", owner=OWNER, urls="callboard_example.not_there")
        )


class _Bomb:
    def __str__(self) -> str:
        raise ValueError("this value cannot be shown")


plugin = UnrulyPlugin()
