"""How the catalog moves in: the same door that a third party's plugin uses."""

from __future__ import annotations

from catalog.views import entity_overview, entity_parts, history, home_cards
from portal.plugins.points import EntityCard, EntityTab, HomeCard, NavItem
from portal.plugins.registry import Registry

OWNER = "Callboard"
CARDS = "catalog/cards/"
HOME = "catalog/home/"


class CatalogPlugin:
    """Navigation, home cards, and the tabs and cards of the entity page."""

    name = "catalog"
    version = "1"
    owner = OWNER

    def register(self, registry: Registry) -> None:
        for extension in (*self.navigation(), *self.home(), *self.tabs(), *self.cards()):
            registry.register(extension)

    def navigation(self) -> tuple[NavItem, ...]:
        return (
            NavItem(key="catalog", title="Catalog", owner=OWNER, order=10, icon="catalog", shortcut="c",
                    url_name="catalog:index", prefixes=("/catalog/",)),
            NavItem(key="apis", title="APIs", owner=OWNER, order=20, icon="api", shortcut="a",
                    url_name="catalog:apis"),
            NavItem(key="problems", title="Problems", owner=OWNER, order=80, icon="warn", shortcut="p",
                    url_name="catalog:problems"),
            NavItem(key="health", title="Health", owner=OWNER, order=85, icon="insights",
                    url_name="catalog:health", primary=False,
                    prefixes=("/catalog/health/", "/catalog/conflicts/", "/catalog/references/")),
            NavItem(key="sources", title="Sources", owner=OWNER, order=90, icon="branch", shortcut="s",
                    url_name="catalog:sources", primary=False,
                    prefixes=("/catalog/sources/", "/catalog/hooks/", "/catalog/preview/")),
        )  # fmt: skip

    def home(self) -> tuple[HomeCard, ...]:
        return (
            HomeCard(key="getting-started", title="The catalog is empty", owner=OWNER, order=1, column="lead",
                     template="catalog/getting_started.html", context=home_cards.getting_started),
            HomeCard(key="needs-you", title="Needs you", owner=OWNER, order=10,
                     template=f"{HOME}needs_you.html", context=home_cards.needs_you),
            HomeCard(key="yours", title="Yours", owner=OWNER, order=20,
                     template=f"{CARDS}owned.html", context=home_cards.yours),
            HomeCard(key="kinds", title="The catalog", owner=OWNER, order=10, column="side",
                     template=f"{HOME}kinds.html", context=home_cards.kinds),
            HomeCard(key="changed", title="Changed last", owner=OWNER, order=20, column="side",
                     template=f"{HOME}changed.html", context=home_cards.changed),
        )  # fmt: skip

    def tabs(self) -> tuple[EntityTab, ...]:
        folder = "catalog/entity/"
        return (
            EntityTab(key="overview", title="Overview", owner=OWNER, order=0, icon="info",
                      template=f"{folder}overview.html", context=entity_overview.overview),
            EntityTab(key="relations", title="Relations", owner=OWNER, order=10, icon="graph",
                      template=f"{folder}relations.html", context=entity_parts.relations),
            EntityTab(key="api", title="Definition", owner=OWNER, order=20, icon="api",
                      template=f"{folder}api.html", context=entity_parts.api, applies=entity_parts.is_api),
            EntityTab(key="apis", title="APIs", owner=OWNER, order=20, icon="api",
                      template=f"{folder}api.html", context=entity_parts.apis, applies=entity_parts.is_component),
            EntityTab(key="history", title="History", owner=OWNER, order=900, icon="clock",
                      template=f"{folder}history.html", context=history.history),
            EntityTab(key="raw", title="Raw", owner=OWNER, order=1000, icon="file",
                      template=f"{folder}raw.html", context=entity_parts.raw),
        )  # fmt: skip

    def cards(self) -> tuple[EntityCard, ...]:
        parts = entity_parts
        return (
            EntityCard(key="about", title="About", owner=OWNER, order=10,
                       template=f"{CARDS}about.html", context=parts.about),
            EntityCard(key="depends", title="Dependencies", owner=OWNER, order=20,
                       template=f"{CARDS}relations.html", context=parts.depends, applies=parts.may_depend),
            EntityCard(key="parts", title="Parts", owner=OWNER, order=30,
                       template=f"{CARDS}relations.html", context=parts.parts),
            EntityCard(key="owned", title="Owns", owner=OWNER, order=40,
                       template=f"{CARDS}owned.html", context=parts.owned, applies=parts.is_team_or_person),
            EntityCard(key="teams", title="Teams", owner=OWNER, order=10, column="side",
                       template=f"{CARDS}relations.html", context=parts.teams, applies=parts.is_team_or_person),
            EntityCard(key="members", title="Members", owner=OWNER, order=15, column="side",
                       template=f"{CARDS}members.html", context=parts.members, applies=parts.is_team),
            EntityCard(key="origin", title="Where it comes from", owner=OWNER, order=20, column="side",
                       template=f"{CARDS}origin.html", context=parts.origin),
            EntityCard(key="links", title="Links", owner=OWNER, order=30, column="side",
                       template=f"{CARDS}links.html", context=parts.links),
        )  # fmt: skip


plugin = CatalogPlugin()
