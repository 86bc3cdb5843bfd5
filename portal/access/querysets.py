"""The one word for "what may this viewer see": ``visible_to``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self, TypeVar

from django.db import models
from django.db.models import Q

from portal.access.viewer import VIEW, Viewer
from portal.core.querysets import GuardedQuerySet

M = TypeVar("M", bound=models.Model, covariant=True)
G = TypeVar("G", bound=GuardedQuerySet)
Policy = Callable[[Viewer, str], Q | None]
_policies: dict[str, Policy] = {}


def everyone_views_staff_curates(viewer: Viewer, action: str) -> Q | None:
    """The answer until rules arrive: who is signed in sees all, staff may do the rest."""
    return Q() if viewer.allows(action) else None


def staff_only(viewer: Viewer, action: str) -> Q | None:
    """For what only curators look at: audit records, switches, schedules, connections."""
    return Q() if viewer.allows(action) and viewer.is_staff else None


def admins_write(viewer: Viewer, action: str) -> Q | None:
    """For what decides who may do what: curators look at it, admins change it."""
    allowed = viewer.is_staff if action == VIEW else viewer.is_superuser or viewer.is_system
    return Q() if viewer.allows(action) and allowed else None


def own_or_staff(viewer: Viewer, action: str) -> Q | None:
    """For what belongs to one person (field ``user``): everyone sees their own, staff sees and does all."""
    if viewer.is_staff:
        return staff_only(viewer, action)
    return Q(user_id=viewer.user_id) if viewer.user_id and viewer.allows(action) else None


def set_policy(label: str, policy: Policy) -> None:
    """Use ``policy`` for the model ``app.model`` (lower case). It returns a Q, or None for nothing at all."""
    _policies[label] = policy


def policy_for(model: type[models.Model]) -> Policy:
    return _policies.get(model._meta.label_lower, everyone_views_staff_curates)


def visible(queryset: G, viewer: Viewer, action: str = VIEW) -> G:
    """``visible_to`` for querysets of packages below this one (audit, plugins)."""
    condition = policy_for(queryset.model)(viewer, action)
    narrowed = queryset.none() if condition is None else queryset.filter(condition) if condition else queryset
    scoped: G = narrowed.scoped(f"{viewer.actor}:{action}")
    return scoped


class RestrictedQuerySet(GuardedQuerySet[M]):
    """Base of every queryset above ``portal.access``."""

    def visible_to(self, viewer: Viewer, action: str = VIEW) -> Self:
        """Only rows on which ``viewer`` may do ``action``."""
        return visible(self, viewer, action)
