"""Who a viewer is for rules, and which rules there are: read once after each change, in each process.

Every change to people, memberships and rules raises the number of ``AccessVersion`` in its own transaction. Whoever
asks reads that number first, so that a change holds from the next request on in every process. Inside a transaction
nothing is remembered beyond the request: it may see rows that are rolled back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any, TypeVar

from django.db import connection
from django.db.models import F
from django.db.models.signals import post_migrate
from django.utils import timezone

from portal.access.models import AccessVersion, Rule
from portal.access.selectors import groups_of, person_ref
from portal.access.viewer import CURATE, VIEW, Viewer
from portal.core.remember import remembered

T = TypeVar("T")
_REASON = "permission is worked out before anybody may see anything"
_lock = Lock()
_known: dict[str, Any] = {"version": None}


@dataclass(frozen=True, slots=True)
class Standing:
    """What permission knows of a viewer.

    Attributes:
        ref: the person's own identity, or an empty text.
        groups: references of groups, those above the person's own included; sorted.
    """

    ref: str = ""
    groups: tuple[str, ...] = ()

    @property
    def refs(self) -> tuple[str, ...]:
        """Everything that counts as the viewer where something is owned."""
        return (self.ref, *self.groups) if self.ref else self.groups


@dataclass(frozen=True, slots=True)
class RuleData:
    """A rule as it is asked."""

    id: int
    name: str
    allows: bool
    resource: str
    actions: frozenset[str]
    audience: str
    principals: frozenset[str]
    expression: str
    expires_at: datetime | None

    def is_about(self, viewer: Viewer) -> bool:
        if self.audience == Rule.Audience.EVERYONE:
            return viewer.is_signed_in
        if self.audience == Rule.Audience.CURATORS:
            return viewer.is_staff
        return not self.principals.isdisjoint(standing_of(viewer).refs)


def access_version() -> int | None:
    """The number now; None inside a transaction. One statement a request."""
    if connection.in_atomic_block:
        return None
    return remembered("access.version", _read_version)


def note_version(number: int | None) -> None:
    """What the statement that found the person read beside it; for the rest of the request."""
    if number is not None:
        remembered("access.version", lambda: number)


def _read_version() -> int:
    rows = AccessVersion.objects.unrestricted(_REASON).filter(pk=1)
    return rows.values_list("number", flat=True).first() or 0


def raise_access_version() -> None:
    """What is remembered of people and rules is old when the caller's transaction ends."""
    if not AccessVersion.objects.filter(pk=1).update(number=F("number") + 1):
        AccessVersion.objects.unrestricted(_REASON).get_or_create(pk=1, defaults={"number": 1})


def standing_of(viewer: Viewer) -> Standing:
    """Groups and identity of a viewer. Two statements after a change, none later."""
    if viewer.user_id is None:
        return Standing()

    def read() -> Standing:
        return Standing(person_ref(viewer), tuple(sorted(ref for ref, _ in groups_of(viewer))))

    return _recall(("standing", viewer.user_id), read)


def rules_for(resource: str, viewer: Viewer, action: str) -> list[RuleData]:
    """Rules that say something of this viewer and action, those that deny first."""
    now = timezone.now()
    found = [
        rule
        for rule in _recall("rules", _read_rules)
        if rule.resource == resource
        and action in rule.actions
        and (rule.expires_at is None or rule.expires_at > now)
        and rule.is_about(viewer)
    ]
    return sorted(found, key=lambda rule: rule.allows)


def may_at_all(viewer: Viewer, action: str) -> bool:
    """Whether who asks is somebody, and their token reaches that far; before any rule is looked at."""
    scope = VIEW if action == VIEW else CURATE
    return viewer.is_system or (viewer.is_signed_in and (viewer.scopes is None or scope in viewer.scopes))


def _read_rules() -> list[RuleData]:
    """One statement."""
    columns = ("pk", "name", "effect", "resource", "actions", "audience", "expression", "expires_at")
    rows = Rule.objects.unrestricted(_REASON).filter(enabled=True).order_by("name")
    found: dict[int, tuple[Any, ...]] = {}
    chosen: dict[int, set[str]] = {}
    for *values, ref, is_active in rows.values_list(*columns, "principals__ref", "principals__active"):
        found[values[0]] = tuple(values)
        if is_active:
            chosen.setdefault(values[0], set()).add(ref)
    return [
        RuleData(
            id=pk,
            name=name,
            allows=effect == Rule.Effect.ALLOW,
            resource=resource,
            actions=frozenset(actions),
            audience=audience,
            principals=frozenset(chosen.get(pk, ())),
            expression=expression.strip(),
            expires_at=expires_at,
        )
        for pk, name, effect, resource, actions, audience, expression, expires_at in found.values()
    ]


def _recall(key: Any, read: Callable[[], T]) -> T:
    version = access_version()
    if version is None:
        return remembered(("access", key), read)
    with _lock:
        if _known["version"] == version and key in _known:
            value: T = _known[key]
            return value
    value = read()
    with _lock:
        if _known["version"] is None or version > _known["version"]:
            _known.clear()
            _known["version"] = version
        if _known["version"] == version:
            _known[key] = value
    return value


def forget_standing(**_: object) -> None:
    """For tests, and after a migration or flush: the numbers may begin again."""
    with _lock:
        _known.clear()
        _known["version"] = None


post_migrate.connect(forget_standing, dispatch_uid="portal.access.standing")
