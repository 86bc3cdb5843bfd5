"""The side navigation: home, what plugins registered, and the way to the other rooms."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from portal.access.selectors import groups_of
from portal.access.viewer import Viewer
from portal.core.remember import remembered
from portal.plugins.points import NavItem
from portal.plugins.producing import produce
from portal.plugins.registry import registry

#: The bottom bar of a phone has five places: four entries and "More".
PHONE_PLACES = 4


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as the templates need it. ``extra`` entries leave the bottom bar of a phone for its More menu."""

    title: str
    url: str
    icon: str
    current: bool = False
    keys: str = ""
    count: int | None = None
    extra: bool = False


@dataclass(frozen=True, slots=True)
class Team:
    """One of the viewer's groups, linked to what it owns."""

    title: str
    url: str
    current: bool = False


def _count(item: NavItem, viewer: Viewer) -> int | None:
    if item.count is None:
        return None
    count = item.count
    made = produce(item, lambda: {"count": count(viewer)}, subject=viewer.actor)
    return made.value["count"] if made.value else None


def _address(item: NavItem) -> str:
    try:
        return reverse(item.url_name)
    except NoReverseMatch:
        return (
            ""  # a plugin named a page that is not there: its entry is left out, the rest of the page lives
        )


def _nearest(path: str, items: list[tuple[NavItem, str]]) -> str:
    """Key of the entry that the page belongs to: the one with the longest address that the path lies below."""
    home = reverse("web:home")
    reach = [
        (len(prefix), item.key)
        for item, url in items
        for prefix in (url, *item.prefixes)
        if prefix != home and path.startswith(prefix)
    ]
    return max(reach)[1] if reach else ""


def main_links(request: HttpRequest, viewer: Viewer) -> list[Link]:
    """Home and every registered entry that is on and that the viewer may use, in order."""
    items = [
        (item, url)
        for item in registry.active(NavItem)
        if (not item.permission or viewer.allows(item.permission)) and (url := _address(item))
    ]
    here = _nearest(request.path, items)
    links = [Link("Home", reverse("web:home"), "home", request.path == reverse("web:home"), "g h")]
    for item, url in items:
        links.append(
            Link(
                title=item.title,
                url=url,
                icon=item.icon,
                current=item.key == here,
                keys=f"g {item.shortcut}" if item.shortcut else "",
                count=_count(item, viewer),
                extra=not item.primary or len([x for x in links if not x.extra]) >= PHONE_PLACES,
            )
        )
    return links


def foot_links(viewer: Viewer) -> list[Link]:
    """The other ways in: admin for those who curate, the API for everyone."""
    links = []
    if viewer.is_staff:
        links.append(Link("Admin", reverse("admin:index"), "shield"))
    with suppress(NoReverseMatch):  # an installation may leave the browsable documentation out
        links.append(Link("API", reverse("api:docs"), "terminal"))
    return links


def team_links(request: HttpRequest, viewer: Viewer) -> list[Team]:
    """The groups the viewer belongs to. One statement."""
    index = reverse("catalog:index")
    chosen = request.GET.getlist("owner") if request.path == index else []
    return [
        Team(title=title or ref.rpartition("/")[2], url=f"{index}?owner={ref}", current=chosen == [ref])
        for ref, title in remembered(("access.groups", viewer.actor), lambda: groups_of(viewer))
    ]
