"""Pages by position (keyset) and the opaque cursors that carry one.

A position is the sort values of a row. A page begins after one, or ends before one, so it costs the same at the end of
a long list as at its beginning, and rows that come or go meanwhile move nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db.models import F, Q
from django.db.models.expressions import OrderBy

from portal.core.errors import InputError

LONGEST_CURSOR = 200_000


def encode_cursor(value: object) -> str:
    """JSON as base64, in the ordinary alphabet: stock clients look inside."""
    return base64.b64encode(orjson.dumps(value)).decode()


def decode_cursor(text: str) -> Any:
    """What ``encode_cursor`` was given.

    Raises:
        InputError: ``cursor.malformed``.
    """
    try:
        if len(text) > LONGEST_CURSOR:
            raise ValueError("too long")
        # Both alphabets, and padding that got lost in an address.
        plain = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
        return orjson.loads(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise malformed_cursor() from None


def aware_time(text: str) -> datetime:
    """A time in a cursor.

    Raises:
        ValueError: it is none, or does not say in which zone.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("no zone")
    return at


def malformed_cursor() -> InputError:
    """The error for a cursor that nobody here gave out."""
    return InputError(
        "Malformed cursor.",
        code="cursor.malformed",
        remedy="Begin again without a cursor, and pass cursors on unchanged.",
    )


@dataclass(frozen=True, slots=True)
class SortKey:
    """One expression of an ordering.

    Attributes:
        name: field or annotation.
        descending: largest first.
        nullable: may be null; rows without a value come last in both directions.
    """

    name: str
    descending: bool = False
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Keyset:
    """An ordering whose last key is unique, so that every row has its own position."""

    keys: tuple[SortKey, ...]

    def order_by(self, *, backwards: bool = False) -> list[OrderBy]:
        """Arguments for ``order_by``; backwards is the exact reverse."""
        return [self._order(key, backwards) for key in self.keys]

    @staticmethod
    def _order(key: SortKey, backwards: bool) -> OrderBy:
        nulls: dict[str, Any] = {}
        if key.nullable:
            nulls = {"nulls_first": True} if backwards else {"nulls_last": True}
        field = F(key.name)
        return field.desc(**nulls) if key.descending != backwards else field.asc(**nulls)

    def beyond(self, values: Sequence[Any], *, backwards: bool = False) -> Q:
        """Rows that come after the position (backwards: before it).

        Raises:
            InputError: the position does not have one value for each key.
        """
        if len(values) != len(self.keys):
            raise malformed_cursor()
        found = Q(pk__in=[])
        for key, value in reversed(list(zip(self.keys, values, strict=True))):
            found = self._step(key, value, backwards, found)
        return found

    @staticmethod
    def _step(key: SortKey, value: Any, backwards: bool, rest: Q) -> Q:
        """Rows that differ in ``key`` in the right direction, or are equal there and go on with ``rest``."""
        if value is None:
            if not key.nullable:
                raise malformed_cursor()
            same = Q((f"{key.name}__isnull", True)) & rest
            return Q((f"{key.name}__isnull", False)) | same if backwards else same
        side = "lt" if key.descending != backwards else "gt"
        # The outer bound says nothing new, but an index can begin there.
        stepped = Q((f"{key.name}__{side}e", value)) & (
            Q((f"{key.name}__{side}", value)) | (Q((key.name, value)) & rest)
        )
        if key.nullable and not backwards:
            return stepped | Q((f"{key.name}__isnull", True))
        return stepped
