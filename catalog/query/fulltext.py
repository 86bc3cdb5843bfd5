"""The text filter of by-query: a substring of chosen fields (catalog API, full text)."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.query.conditions import EVERYTHING, Condition, Contains
from catalog.query.dictionary import UID


def text_condition(term: str, fields: Iterable[str] = (), *, order_field: str = "") -> Condition:
    """Entities in which one of ``fields`` contains ``term``, in any case.

    Without fields the field that the list is sorted by is searched, and without that the uid. A term of blanks says
    nothing. ``%`` and ``_`` stand for themselves (stock takes them for wildcards by accident).
    """
    wanted = term.strip().lower()
    keys = tuple(dict.fromkeys(key for name in fields if (key := name.strip().lower())))
    if not wanted:
        return EVERYTHING
    return Contains(keys or (order_field.lower() or UID,), wanted)
