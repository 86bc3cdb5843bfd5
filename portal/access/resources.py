"""What rules are about: kinds of rows, what may be done with them, and what a rule may ask of them.

An app above declares its own in ``AppConfig.ready``::

    declare_resource(Resource("catalog.entity", "entities", actions=..., environment=..., check=...))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from portal.core.errors import NotFoundError
from portal.expressions.cel import Environment, Program


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of rows.

    Attributes:
        label: ``app.model``, lower case.
        noun: what people call several of them.
        actions: what may be done with one, and in one line what that means.
        environment: the variables of a rule's expression.
        check: raises InputError for an expression that cannot be asked of the database.
    """

    label: str
    noun: str
    actions: Mapping[str, str]
    environment: Environment
    check: Callable[[Program], None]


_resources: dict[str, Resource] = {}


def declare_resource(resource: Resource) -> None:
    """Rules may be about these rows from now on."""
    _resources[resource.label] = resource


def resources() -> tuple[Resource, ...]:
    return tuple(_resources.values())


def resource_named(label: str) -> Resource:
    """Raises NotFoundError: no app declared it."""
    if label not in _resources:
        raise NotFoundError(
            f"There are no rules for {label!r}.",
            code="access.rule.resource",
            remedy=f"There are {', '.join(_resources)}.",
        )
    return _resources[label]
