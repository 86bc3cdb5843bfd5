"""What every page's frame needs. Nothing is read until a template asks for it, and each thing once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from portal.access.viewer import ANONYMOUS, Viewer
from portal.web.nav import Link, Team, foot_links, main_links, team_links

THEME_COOKIE = "callboard_theme"


@dataclass(frozen=True, slots=True)
class Theme:
    key: str
    title: str
    icon: str


THEMES = (
    Theme("auto", "Same as system", "settings"),
    Theme("light", "Light", "sun"),
    Theme("dark", "Dark", "moon"),
    Theme("contrast", "High contrast", "contrast"),
)


def theme_of(request: HttpRequest) -> str:
    """The chosen appearance; anything else in the cookie means the system's own."""
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    return chosen if any(theme.key == chosen for theme in THEMES) else "auto"


class Shell:
    """The frame around a page, for one request."""

    title = property(lambda self: settings.CALLBOARD_TITLE)
    themes = THEMES

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    @cached_property
    def viewer(self) -> Viewer:
        viewer: Viewer = getattr(self.request, "viewer", ANONYMOUS)
        return viewer

    @cached_property
    def theme(self) -> str:
        return theme_of(self.request)

    @cached_property
    def person(self) -> str:
        return self.viewer.name or self.viewer.actor.partition(":")[2]

    @cached_property
    def nav(self) -> list[Link]:
        return main_links(self.request, self.viewer)

    @cached_property
    def foot(self) -> list[Link]:
        return foot_links(self.viewer)

    @cached_property
    def more(self) -> list[Link]:
        return [link for link in self.nav if link.extra] + self.foot

    @cached_property
    def teams(self) -> list[Team]:
        return team_links(self.request, self.viewer)

    @cached_property
    def account(self) -> list[Link]:
        return [
            Link("Your account", reverse("web:account"), "user"),
            Link("Change password", reverse("account_change_password"), "key"),
            *self.foot,
        ]

    home = property(lambda self: reverse("web:home"))
    search = property(lambda self: reverse("catalog:index"))
    appearance = property(lambda self: reverse("web:appearance"))
    sign_out = property(lambda self: reverse("account_logout"))


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor: ``shell`` in every template."""
    return {"shell": Shell(request)}
