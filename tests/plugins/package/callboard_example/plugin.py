"""One of each extension point, well behaved."""

from __future__ import annotations

from typing import Any

from portal.plugins.points import EntityCard, EntityTab, HealthCheck, HomeCard, NavItem, Pages
from portal.plugins.registry import Registry

OWNER = "example@acme.example"
T = "callboard_example/"


def home(viewer: Any) -> dict[str, Any]:
    return {"said": f"the example greets {viewer.name}"}


def on_entity(viewer: Any, entity: Any) -> dict[str, Any]:
    return {"said": f"the example knows {entity.ref}"}


class ExamplePlugin:
    name = "Example"
    version = "1.2"
    owner = OWNER

    def register(self, registry: Registry) -> None:
        registry.register(
            NavItem(
                key="example",
                title="Example page",
                owner=OWNER,
                icon="info",
                url_name="example:index",
                count=lambda viewer: 7,
            )
        )
        registry.register(
            HomeCard(key="example", title="Example", owner=OWNER, template=f"{T}card.html", context=home)
        )
        registry.register(
            HomeCard(
                key="example-staff",
                title="For curators",
                owner=OWNER,
                template=f"{T}card.html",
                context=lambda viewer: {"said": "only for curators"},
                permission="curate",
            )
        )
        registry.register(
            EntityCard(
                key="example", title="Example", owner=OWNER, template=f"{T}card.html", context=on_entity
            )
        )
        registry.register(
            EntityTab(
                key="example",
                title="Example tab",
                owner=OWNER,
                icon="info",
                template=f"{T}card.html",
                context=on_entity,
                applies=lambda entity: entity.kind == "component",
            )
        )
        registry.register(Pages(key="example", title="Example", owner=OWNER, urls="callboard_example.urls"))
        registry.register(HealthCheck(key="example", title="Example", owner=OWNER, check=lambda: ""))


plugin = ExamplePlugin()
