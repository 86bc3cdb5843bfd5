"""The ``filter=`` query parameter (catalog API, filter grammar)."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.query.conditions import EVERYTHING, WIDEST, Among, Condition, Has, all_of, any_of
from portal.core.errors import InputError

#: All statements together; each costs the database something.
MOST_STATEMENTS = 1_000


def parse_filters(texts: Iterable[str]) -> Condition:
    """Read the values of all ``filter`` parameters of a request.

    Each is a comma-separated list of ``key`` (is there) or ``key=value`` (any case). Different keys of one value are
    ANDed, the same key again is OR, several parameters are OR. ``key`` next to ``key=value`` says nothing more.
    Statements of blanks are left out; a parameter without statements says nothing.

    Raises:
        InputError: ``catalog.filter.key`` for a statement without key, ``catalog.filter.size`` for too many.
    """
    alternatives: list[Condition] = []
    count = 0
    for text in texts:
        wanted: dict[str, list[str]] = {}
        for statement in text.split(","):
            key, equal, value = statement.partition("=")
            key = key.strip().lower()
            if not key:
                if equal:
                    raise InputError(
                        f"Invalid filter: {statement.strip()!r} has no key.",
                        code="catalog.filter.key",
                        remedy="Write key=value, key= (empty text) or key (is there).",
                    )
                continue
            values = wanted.setdefault(key, [])
            if equal:
                values.append(value.strip().lower())
            count += 1
        if wanted:
            parts = (Among(k, tuple(dict.fromkeys(v))) if v else Has(k) for k, v in wanted.items())
            alternatives.append(all_of(*parts))
        if count > MOST_STATEMENTS or len(wanted) > WIDEST or len(alternatives) > WIDEST:
            raise InputError(
                f"The filter has more than {MOST_STATEMENTS} statements, or more than {WIDEST} in one place.",
                code="catalog.filter.size",
                remedy="Ask in several requests, or by reference with POST /entities/by-refs.",
            )
    return any_of(*alternatives) if alternatives else EVERYTHING
