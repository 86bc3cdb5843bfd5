"""Writes of rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from portal.access.models import Principal, Rule
from portal.access.resources import resource_named
from portal.access.standing import raise_access_version
from portal.access.viewer import Viewer
from portal.audit.services import record
from portal.core.errors import ConflictError, InputError

_REASON = "rules are checked before they are saved"
FIELDS = (
    "name", "description", "enabled", "effect", "resource", "actions", "audience", "expression", "expires_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ShippedRule:
    """A rule that comes with Callboard.

    Attributes:
        key: stays the same when its name changes.
    """

    key: str
    name: str
    description: str
    resource: str
    actions: tuple[str, ...]
    audience: str
    expression: str = ""


@transaction.atomic
def save_rule(
    *,
    actor: Viewer,
    rule: Rule | None,
    values: Mapping[str, Any],
    principals: Iterable[Principal] | None = None,
) -> Rule:
    """Make a rule, or change one.

    Args:
        rule: None for a new one.
        values: of ``FIELDS``; those that are left out stay.
        principals: whom it is about, where the audience is ``chosen``; None leaves them.

    Raises:
        InputError: an action or expression that does not fit its resource, or nobody whom it is about.
        NotFoundError: no such resource.
        ConflictError: another rule has the name.
    """
    row = rule or Rule()
    before = _shown(row) if rule is not None else None
    for name in FIELDS:
        if name in values:
            setattr(row, name, values[name])
    chosen = list(principals) if principals is not None else list(row.principals.all()) if row.pk else []
    _check(row, chosen)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise ConflictError(
            f"There is a rule named {row.name!r} already.",
            code="access.rule.name",
            remedy="Choose another name.",
        ) from None
    row.principals.set(chosen if row.audience == Rule.Audience.CHOSEN else [])
    after = _shown(row)
    if before != after:
        raise_access_version()
        verb = "access.rule.changed" if before is not None else "access.rule.created"
        record(actor=actor.actor, verb=verb, target=row, before=before, after=after)
    return row


@transaction.atomic
def delete_rule(*, actor: Viewer, rule: Rule) -> None:
    """End a rule for good.

    Raises:
        ConflictError: it comes with Callboard.
    """
    if rule.shipped:
        raise ConflictError(
            f"{rule.name!r} comes with Callboard and would come back.",
            code="access.rule.shipped",
            remedy="Switch it off instead.",
        )
    record(actor=actor.actor, verb="access.rule.deleted", target=rule, before=_shown(rule))
    rule.delete()
    raise_access_version()


@transaction.atomic
def install_rules(rules: Iterable[ShippedRule]) -> None:
    """Make those that are not there yet. What a curator changed of the others stays."""
    known = set(Rule.objects.unrestricted(_REASON).exclude(shipped="").values_list("shipped", flat=True))
    missing = [rule for rule in rules if rule.key not in known]
    for rule in missing:
        Rule.objects.create(
            shipped=rule.key,
            name=rule.name,
            description=rule.description,
            resource=rule.resource,
            actions=list(rule.actions),
            audience=rule.audience,
            expression=rule.expression,
        )
    if missing:
        raise_access_version()


def _check(rule: Rule, chosen: list[Principal]) -> None:
    resource = resource_named(rule.resource)
    if not rule.name.strip():
        raise InputError("A rule needs a name.", code="access.rule.name", details={"field": "name"})
    unknown = sorted(set(rule.actions) - set(resource.actions))
    if unknown or not rule.actions:
        raise InputError(
            f"{unknown[0]!r} is nothing that can be done with {resource.noun}."
            if unknown
            else "A rule needs an action.",
            code="access.rule.action",
            remedy=f"There are {', '.join(resource.actions)}.",
            details={"field": "actions"},
        )
    if rule.audience == Rule.Audience.CHOSEN and not chosen:
        raise InputError(
            "The rule is about nobody.",
            code="access.rule.nobody",
            remedy="Choose people or groups, or another audience.",
            details={"field": "principals"},
        )
    if rule.expression.strip():
        resource.check(resource.environment.compile(rule.expression))


def _shown(rule: Rule) -> dict[str, Any]:
    shown: dict[str, Any] = {name: _plain(getattr(rule, name)) for name in FIELDS}
    shown["principals"] = sorted(rule.principals.values_list("ref", flat=True)) if rule.pk else []
    return shown


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
