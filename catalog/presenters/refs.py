"""References as links: where they lead, what they are called, which icon they carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from urllib.parse import quote

from django.urls import reverse

from catalog.models import Entity, Kind

_TYPE_ICONS = {
    "service": "service",
    "website": "website",
    "library": "library",
    "worker": "worker",
    "job": "worker",
    "cronjob": "worker",
}
_TEAM_KINDS = frozenset({"group"})
UNKNOWN_ICON = "unknown"
# These own, or are only places: nobody asks who owns them.
_UNOWNED_KINDS = frozenset({"group", "user", "location"})


@dataclass(frozen=True, slots=True)
class KindView:
    """A kind as lists and links name it. ``key`` is the lower-case name that stands in references."""

    key: str
    title: str
    plural: str
    icon: str
    description: str = ""

    @property
    def url(self) -> str:
        return f"{reverse('catalog:index')}?kind={quote(self.key)}"


class KindBook(dict[str, KindView]):
    """Kinds by their key; a kind that is not (any more) there is shown by its own name."""

    def __missing__(self, key: str) -> KindView:
        return KindView(key, key.capitalize(), f"{key.capitalize()} entities", UNKNOWN_ICON)

    @classmethod
    def of(cls, kinds: Iterable[Kind]) -> KindBook:
        return cls(
            (
                k.name.lower(),
                KindView(k.name.lower(), k.name, k.plural, k.icon or UNKNOWN_ICON, k.description),
            )
            for k in kinds
        )


@dataclass(frozen=True, slots=True)
class RefView:
    """One end of a relation, an owner, a row.

    Attributes:
        exists: whether the viewer can open it; a reference that leads nowhere is shown, marked and not linked.
        type: its spec.type, where known.
    """

    ref: str
    kind: str
    namespace: str
    name: str
    title: str
    url: str
    icon: str
    kind_title: str
    exists: bool = True
    type: str = ""
    note: str = ""

    @property
    def is_team(self) -> bool:
        return self.kind in _TEAM_KINDS


def split_ref(ref: str) -> tuple[str, str, str]:
    """Kind, namespace and name of a canonical reference."""
    kind, _, rest = ref.partition(":")
    namespace, _, name = rest.partition("/")
    return kind, namespace, name


@cache
def _root() -> str:
    """Address of the index; the same for the life of a process."""
    return reverse("catalog:index")


def entity_url(ref: str, tab: str = "") -> str:
    """The page of the entity that a canonical reference names, or one of its tabs."""
    kind, namespace, name = split_ref(ref)
    if not (kind and namespace and name):
        return ""
    path = _root() + "/".join(quote(part, safe="") for part in (namespace, kind, name)) + "/"
    return f"{path}{tab}/" if tab and tab != "overview" else path


def icon_of(kind: KindView, entity_type: str | None) -> str:
    """Components carry the icon of their type, everything else that of its kind."""
    return _TYPE_ICONS.get(entity_type or "", kind.icon) if kind.key == "component" else kind.icon


def wants_owner(kind: str) -> bool:
    """Whether an entity of this kind without an owner is a gap that somebody should close."""
    return kind not in _UNOWNED_KINDS


def ref_view(ref: str, kinds: KindBook, known: Mapping[str, Entity]) -> RefView:
    """A link for ``ref``, with the title of the entity in ``known``, or marked as leading nowhere."""
    kind, namespace, name = split_ref(ref)
    entity = known.get(ref)
    if entity is not None:
        return entity_view(entity, kinds)
    return RefView(
        ref, kind, namespace, name, name or ref, "", kinds[kind].icon, kinds[kind].title, exists=False
    )


class Links(dict[str, RefView]):
    """Links by reference, each made when it is first asked for: a list names the same few owners again and again."""

    def __init__(self, kinds: KindBook, known: Mapping[str, Entity]) -> None:
        super().__init__()
        self.kinds = kinds
        self.known = known

    def __missing__(self, ref: str) -> RefView:
        view = self[ref] = ref_view(ref, self.kinds, self.known)
        return view


def entity_view(entity: Entity, kinds: KindBook) -> RefView:
    """A link to ``entity``; its title as written where the read brought it along (``viewing.named``)."""
    kind = kinds[entity.kind]
    return RefView(
        entity.ref,
        entity.kind,
        entity.namespace,
        entity.name,
        getattr(entity, "shown_title", "") or entity.name,
        entity_url(entity.ref),
        icon_of(kind, entity.type),
        kind.title,
        type=entity.type or "",
    )


def with_note(view: RefView, note: str) -> RefView:
    """The same link with a word beside it."""
    return replace(view, note=note)
