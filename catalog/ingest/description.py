"""A source as a value: what is read, and what it may bring."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import orjson

from catalog.ingest.locations import generated_name
from catalog.ingest.rules import AllowRules
from catalog.kinds import KindRegistry
from catalog.refs import LocationRef


class SourceLike(Protocol):
    """What a source row has to say about itself."""

    type: str
    target: str
    branch: str
    pattern: str
    presence: str
    entity_ref: str
    allowed_kinds: list[str]


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """A source as a value.

    Attributes:
        root: what is read.
        name: of the Location entity that stands for it.
        rules: what it may bring.
    """

    root: LocationRef
    name: str
    optional: bool
    rules: AllowRules
    branch: str = ""
    pattern: str = ""

    @classmethod
    def of(
        cls, source: SourceLike, registry: KindRegistry, *, rules: AllowRules | None = None
    ) -> SourceDescription:
        """A source as its row says.

        Args:
            rules: count where the row has no kinds of its own; without them the default kinds do.
        """
        if source.allowed_kinds:
            rules = AllowRules.of_kinds(source.allowed_kinds)
        name = source.entity_ref.rpartition("/")[2]
        root = LocationRef("file" if source.type == "file" else source.type, source.target)
        rules = rules or AllowRules.default(registry)
        return cls(root, name, source.presence == "optional", rules, source.branch, source.pattern)

    @classmethod
    def of_target(
        cls, target: str, registry: KindRegistry, *, rules: AllowRules | None = None
    ) -> SourceDescription:
        """A registration that somebody only asks about."""
        root = LocationRef("url", target)
        return cls(root, generated_name(root), False, rules or AllowRules.default(registry))

    @property
    def fingerprint(self) -> str:
        """Changes when the same files would be taken in differently."""
        body = orjson.dumps(
            [*self.root, self.name, self.optional, self.rules.as_json(), self.branch, self.pattern]
        )
        return hashlib.sha1(body, usedforsecurity=False).hexdigest()[:12]
