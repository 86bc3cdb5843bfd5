"""Which events somebody asks for: types and subjects, exact or by a prefix that ends in ``*``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import F, Q, Value
from django.db.models.functions import Substr
from django.db.models.lookups import Exact

from portal.core.errors import InputError

MOST_PATTERNS = 50
LONGEST_PATTERN = 300


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Several types mean any of them, several subjects as well; none means all.

    Attributes:
        types: such as ``catalog.entity.changed`` or ``catalog.*``.
        subjects: such as ``component:default/shop`` or ``component:*``. Letter case counts.
    """

    types: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()

    @classmethod
    def of(cls, types: Iterable[object] = (), subjects: Iterable[object] = ()) -> EventFilter:
        """A filter from what a person wrote.

        Raises:
            InputError: ``events.filter``: no text, a star elsewhere than at the end, too long or too many.
        """
        return cls(_patterns("type", types), _patterns("subject", subjects))

    def matches(self, type: str, subject: str) -> bool:
        return _any(self.types, type) and _any(self.subjects, subject)

    def condition(self) -> Q:
        """The same in SQL. By SUBSTR and not by LIKE, which is blind to letter case on SQLite."""
        return _condition("type", self.types) & _condition("subject", self.subjects)


def _patterns(what: str, values: Iterable[object]) -> tuple[str, ...]:
    found: list[str] = []
    for value in values:
        if not isinstance(value, str) or not value or len(value) > LONGEST_PATTERN or "*" in value[:-1]:
            raise InputError(
                f"{str(value)[:80]!r} is no {what} to ask for.",
                code="events.filter",
                remedy=f"Write a whole {what}, or its beginning and a * at the end.",
                details={"field": f"{what}s"},
            )
        found.append(value)
    if len(found) > MOST_PATTERNS:
        raise InputError(
            f"{len(found)} {what}s are too many.",
            code="events.filter",
            remedy=f"Ask for at most {MOST_PATTERNS}; a * at the end stands for many.",
            details={"field": f"{what}s"},
        )
    return tuple(dict.fromkeys(found))


def _any(patterns: tuple[str, ...], value: str) -> bool:
    return not patterns or any(
        value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern for pattern in patterns
    )


def _condition(field: str, patterns: tuple[str, ...]) -> Q:
    if "*" in patterns:
        return Q()
    condition = Q()
    for pattern in patterns:
        if pattern.endswith("*"):
            begin = pattern[:-1]
            condition |= Q(Exact(Substr(F(field), 1, len(begin)), Value(begin)))
        else:
            condition |= Q((field, pattern))
    return condition
