"""What a plugin can add. Each is a small value; the registry keeps them by point and key.

First-party apps and third-party packages use exactly these (docs/plugins.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """Base of everything that can be registered.

    Attributes:
        key: unique within its point; lower case, ``a-z0-9_-``.
        title: what people read.
        owner: team or address that answers for it.
        order: smaller comes first.
        permission: action the viewer needs in general; empty for everyone signed in.
        deadline: seconds that producing it may take; None runs it inline (only for code that cannot hang).
    """

    point: ClassVar[str] = ""
    key: str
    title: str
    owner: str
    order: int = 100
    permission: str = ""
    deadline: float | None = None

    @property
    def full_key(self) -> str:
        return f"{self.point}:{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NavItem(Extension):
    """An entry of the side navigation. ``count`` is shown beside the title where it returns a number."""

    point: ClassVar[str] = "nav"
    url_name: str
    icon: str
    shortcut: str = ""
    prefixes: Sequence[str] = ()
    primary: bool = True
    count: Callable[[Any], int | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityTab(Extension):
    """A tab of the entity page. ``context(viewer, entity)`` feeds ``template``."""

    point: ClassVar[str] = "entity_tab"
    icon: str
    template: str
    context: Callable[[Any, Any], Mapping[str, Any]]
    applies: Callable[[Any], bool] = field(default=lambda _entity: True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityCard(Extension):
    """A card on the overview of an entity. ``context(viewer, entity)`` feeds ``template``; None hides it."""

    point: ClassVar[str] = "entity_card"
    template: str
    context: Callable[[Any, Any], Mapping[str, Any] | None]
    applies: Callable[[Any], bool] = field(default=lambda _entity: True)
    column: str = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeCard(Extension):
    """A card of the home page. ``context(viewer)`` feeds ``template``; None hides it."""

    point: ClassVar[str] = "home_card"
    template: str
    context: Callable[[Any], Mapping[str, Any] | None]
    column: str = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages(Extension):
    """Addresses below ``/x/<key>/``: ``urls`` is the dotted path of a URL configuration."""

    point: ClassVar[str] = "pages"
    urls: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck(Extension):
    """What a plugin says of itself: ``check()`` returns an empty text or what is wrong.

    Shown in the admin. It has no part in the readiness answer: a plugin must not take the house out of service.
    """

    point: ClassVar[str] = "health"
    check: Callable[[], str]


POINTS: tuple[type[Extension], ...] = (NavItem, EntityTab, EntityCard, HomeCard, Pages, HealthCheck)
