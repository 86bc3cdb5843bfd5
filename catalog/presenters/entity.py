"""An entity as its page shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import yaml
from django.urls import reverse

from catalog.models import Entity
from catalog.presenters.refs import (
    KindBook,
    KindView,
    RefView,
    entity_url,
    icon_of,
    ref_view,
    split_ref,
    wants_owner,
)

#: Relations one group shows on an overview, and on the tab that is about them.
SHORT_GROUP, LONG_GROUP = 8, 200
_VIEW_URL = "backstage.io/view-url"
_EDIT_URL = "backstage.io/edit-url"

_RELATION_TITLES = {
    "dependsOn": "Depends on",
    "dependencyOf": "Used by",
    "consumesApi": "Consumes APIs",
    "apiConsumedBy": "Consumed by",
    "providesApi": "Provides APIs",
    "apiProvidedBy": "Provided by",
    "ownedBy": "Owned by",
    "ownerOf": "Owns",
    "partOf": "Part of",
    "hasPart": "Has parts",
    "memberOf": "Member of",
    "hasMember": "Members",
    "childOf": "Parent team",
    "parentOf": "Child teams",
}
_ORDER = {name: place for place, name in enumerate(_RELATION_TITLES)}
_LINK_ICONS = {
    "dashboard": "insights", "docs": "docs", "chat": "chat", "email": "chat", "github": "branch", "code": "branch",
    "web": "external", "user": "user", "group": "team", "alert": "bell", "help": "help", "catalog": "catalog",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RelationGroup:
    """Everything one relation type leads to.

    Attributes:
        total: how many there are; ``refs`` holds the first of them.
        empty: what to say where there are none.
    """

    key: str
    title: str
    refs: list[RefView]
    total: int
    empty: str = ""

    @property
    def more(self) -> int:
        return self.total - len(self.refs)


@dataclass(frozen=True, slots=True)
class LinkView:
    url: str
    title: str
    icon: str


@dataclass(frozen=True, slots=True)
class TagView:
    text: str
    url: str


@dataclass(frozen=True, slots=True)
class StateView:
    level: str
    title: str


@dataclass(frozen=True, slots=True)
class Banner:
    """Something a person has to know before reading on."""

    level: str
    icon: str
    title: str
    text: str
    url: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the About card: a text, a person, a reference, or what is missing."""

    title: str
    text: str = ""
    who: RefView | None = None
    ref: RefView | None = None
    missing: str = ""


def relation_title(name: str) -> str:
    """What a person calls a relation; ``runsOn`` of a kind of your own becomes ``Runs on``."""
    if name in _RELATION_TITLES:
        return _RELATION_TITLES[name]
    words = "".join(f" {ch.lower()}" if ch.isupper() else ch for ch in name)
    return words[:1].upper() + words[1:]


def targets_by_type(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Relation type to references, as the finished document lists them, in the order people ask for them."""
    grouped: dict[str, list[str]] = {}
    for relation in document.get("relations") or ():
        grouped.setdefault(relation["type"], []).append(relation["targetRef"])
    return dict(sorted(grouped.items(), key=lambda item: (_ORDER.get(item[0], len(_ORDER)), item[0])))


def by_kind(refs: Iterable[str]) -> dict[str, list[str]]:
    """References by the kind that stands in them."""
    found: dict[str, list[str]] = {}
    for ref in refs:
        found.setdefault(split_ref(ref)[0], []).append(ref)
    return found


def as_yaml(document: Mapping[str, Any]) -> str:
    """The document as YAML in its own order, long texts as blocks."""
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=False
    )
    return text


class _Dumper(yaml.CSafeDumper):
    """Writes texts of several lines as blocks, which is how people write them."""


def _text(dumper: yaml.representer.SafeRepresenter, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


@dataclass(slots=True)
class EntityPage:
    """What every tab of one entity can use. ``known`` holds the entities at the other end, by reference."""

    entity: Entity
    document: Mapping[str, Any]
    kinds: KindBook
    known: Mapping[str, Entity]
    admin_url: str = ""
    problems: int = 0
    targets: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.targets = targets_by_type(self.document)

    # --- what it is
    @property
    def metadata(self) -> Mapping[str, Any]:
        return self.document.get("metadata") or {}

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.document.get("spec") or {}

    @property
    def ref(self) -> str:
        return self.entity.ref

    @property
    def title(self) -> str:
        profile = self.spec.get("profile")
        shown = profile.get("displayName") if isinstance(profile, Mapping) else None
        return str(self.metadata.get("title") or shown or self.metadata.get("name") or self.entity.name)

    @property
    def description(self) -> str:
        return str(self.metadata.get("description") or "")

    @property
    def kind(self) -> KindView:
        return self.kinds[self.entity.kind]

    @property
    def icon(self) -> str:
        return icon_of(self.kind, self.entity.type)

    def _word(self, key: str) -> str:
        value = self.spec.get(key)
        return value if isinstance(value, str) else ""

    @property
    def type(self) -> str:
        return self._word("type")

    @property
    def lifecycle(self) -> str:
        return self._word("lifecycle")

    @property
    def tags(self) -> list[TagView]:
        index = reverse("catalog:index")
        return [
            TagView(str(tag), f"{index}?{urlencode({'tag': tag})}") for tag in self.metadata.get("tags") or ()
        ]

    @property
    def links(self) -> list[LinkView]:
        """The author's links. Their addresses are anybody's text: templates show them through ``out_link`` only."""
        return [
            LinkView(
                str(link.get("url", "")),
                str(link.get("title") or link.get("url", "")),
                _LINK_ICONS.get(str(link.get("icon", "")).lower(), "link"),
            )
            for link in self.metadata.get("links") or ()
        ]

    # --- who answers for it, where it stands
    def _first(self, relation: str, kind: str = "") -> RefView | None:
        for ref in self.targets.get(relation, ()):
            if ref.startswith(kind):
                return ref_view(ref, self.kinds, self.known)
        return None

    @property
    def owner(self) -> RefView | None:
        return self._first("ownedBy")

    @property
    def wants_owner(self) -> bool:
        return wants_owner(self.entity.kind)

    @property
    def system(self) -> RefView | None:
        return self._first("partOf", "system:")

    @property
    def facts(self) -> list[Fact]:
        facts = []
        if self.owner:
            facts.append(Fact("Owner", who=self.owner))
        elif self.wants_owner:
            facts.append(Fact("Owner", missing="No owner"))
        for title, text in (("Type", self.type), ("Lifecycle", self.lifecycle)):
            if text:
                facts.append(Fact(title, text))
        for ref in self.targets.get("partOf", ()):
            view = ref_view(ref, self.kinds, self.known)
            facts.append(Fact(view.kind_title, ref=view))
        profile = self.spec.get("profile")
        if isinstance(profile, Mapping) and isinstance(profile.get("email"), str):
            facts.append(Fact("Email", profile["email"]))
        if self.entity.namespace != "default":
            facts.append(Fact("Namespace", self.entity.namespace))
        return facts

    # --- its state
    @property
    def state(self) -> StateView | None:
        if self.entity.state == Entity.State.MISSING:
            return StateView("warn", "Source unreadable")
        if self.entity.state == Entity.State.ORPHANED:
            return StateView("warn", "Orphaned")
        return StateView("warn", "Last reading failed") if self.entity.has_errors else None

    @property
    def banners(self) -> list[Banner]:
        problems = f"{reverse('catalog:problems')}?{urlencode({'entity': self.ref})}"
        banners = []
        if self.entity.state == Entity.State.MISSING:
            text = self.entity.state_reason or "What you see is what was read last."
            banners.append(
                Banner("warn", "warn", "Its source cannot be read.", text, self._source_page(), "Open source")
            )
        elif self.entity.state == Entity.State.ORPHANED:
            text = (
                self.entity.state_reason
                or "No source declares it any more. Register its file again, or remove it."
            )
            banners.append(Banner("warn", "warn", "Orphaned.", text, self._source_page(), "Open source"))
        if self.entity.has_errors:
            text = "Its file changed to something the catalog cannot take. What you see is the last good version."
            banners.append(Banner("bad", "bad", "The last reading failed.", text, problems, "See why"))
        elif self.problems:
            text = "It was taken in, but something about it should be mended."
            banners.append(Banner("warn", "warn", "Warnings in its file.", text, problems, "See them"))
        return banners

    def _source_page(self) -> str:
        return reverse("catalog:source", args=[self.entity.source_id]) if self.entity.source_id else ""

    # --- where else it is
    def _annotation(self, key: str) -> str:
        return str((self.metadata.get("annotations") or {}).get(key, ""))

    @property
    def source_url(self) -> str:
        return self._annotation(_VIEW_URL)

    @property
    def edit_url(self) -> str:
        return self._annotation(_EDIT_URL)

    @property
    def url(self) -> str:
        return entity_url(self.ref)

    @property
    def api_url(self) -> str:
        parts = (self.entity.kind, self.entity.namespace, self.entity.name)
        return "/api/catalog/entities/by-name/" + "/".join(quote(part, safe="") for part in parts)

    # --- what it touches
    def group(
        self, relation: str, *, limit: int = SHORT_GROUP, empty: str = "", title: str = ""
    ) -> RelationGroup:
        """What ``relation`` leads to, the first ``limit`` of it."""
        refs = self.targets.get(relation, [])
        shown = [ref_view(ref, self.kinds, self.known) for ref in refs[:limit]]
        return RelationGroup(relation, title or relation_title(relation), shown, len(refs), empty)

    def groups_by_kind(self, relation: str) -> list[RelationGroup]:
        """What ``relation`` leads to, a group for each kind in the order of the kinds."""
        places = {key: place for place, key in enumerate(self.kinds)}
        found = by_kind(self.targets.get(relation, ()))
        return [
            RelationGroup(
                relation,
                self.kinds[kind].plural,
                [ref_view(ref, self.kinds, self.known) for ref in refs[:SHORT_GROUP]],
                len(refs),
            )
            for kind, refs in sorted(
                found.items(), key=lambda item: (places.get(item[0], len(places)), item[0])
            )
        ]

    def groups(self, *, limit: int = LONG_GROUP) -> list[RelationGroup]:
        """Every relation type with what it leads to."""
        return [self.group(relation, limit=limit) for relation in self.targets]


def refs_to_know(targets: Mapping[str, list[str]], *, limit: int = LONG_GROUP) -> set[str]:
    """The references whose titles a page shows: the first of each relation type, and of each kind in it."""
    known: set[str] = set()
    for refs in targets.values():
        known.update(refs[:limit])
        for same in by_kind(refs).values():
            known.update(same[:SHORT_GROUP])
    return known
