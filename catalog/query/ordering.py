"""Orders in which entities are listed, and the position of a row in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from portal.core.errors import InputError
from portal.core.paging import Keyset, SortKey

#: Words by which the portal sorts, the column of each, and whether it may be empty.
PORTAL_ORDERS: Mapping[str, tuple[str, bool]] = {
    "label": ("label", False),
    "name": ("name", False),
    "kind": ("kind", False),
    "namespace": ("namespace", False),
    "type": ("type", True),
    "lifecycle": ("lifecycle", True),
    "owner": ("owner_ref", True),
    "system": ("system_ref", True),
    "changed_at": ("changed_at", False),
    "created_at": ("created_at", False),
}


@dataclass(frozen=True, slots=True)
class Order:
    """By a key of the document as stock does: by its lower-cased value, then by uid in the same direction.

    Entities without a value are left out; one with several values is listed once for each.
    """

    key: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class PortalOrder:
    """By one of ``PORTAL_ORDERS``; empty ones last in both directions, equal ones by reference. Nothing is left out."""

    name: str
    descending: bool = False

    @property
    def keyset(self) -> Keyset:
        """The order for a queryset of entities; references are unique."""
        column, nullable = PORTAL_ORDERS[self.name]
        return Keyset((SortKey(column, self.descending, nullable), SortKey("ref")))


def portal_order(text: str) -> PortalOrder | None:
    """``label`` or ``-label``; the empty text is no order.

    Raises:
        KeyError: no word of ``PORTAL_ORDERS``; views check what comes from outside.
    """
    name = text.removeprefix("-")
    if not name:
        return None
    if name not in PORTAL_ORDERS:
        raise KeyError(name)
    return PortalOrder(name, text.startswith("-"))


def parse_order_field(text: str) -> Order:
    """Read ``field``, ``field,asc`` or ``field,desc`` of by-query.

    Raises:
        InputError: ``catalog.order.direction``, ``catalog.order.field``.
    """
    key, comma, direction = text.partition(",")
    return order_of(key, direction.strip() if comma else "asc")


def parse_order(text: str) -> Order:
    """Read ``asc:field`` or ``desc:field`` of the plain list; the field is compared as written.

    Raises:
        InputError: as ``parse_order_field``.
    """
    direction, colon, key = text.partition(":")
    if not colon:
        raise InputError(
            f"Invalid order parameter {text!r}.",
            code="catalog.order.direction",
            remedy="Write asc:field or desc:field.",
        )
    return order_of(key, direction.strip())


def order_of(key: str, direction: str) -> Order:
    """An order of a field and a direction, both checked."""
    if direction not in ("asc", "desc"):
        raise InputError(
            f"{direction!r} is no direction to sort in.",
            code="catalog.order.direction",
            remedy="Use asc or desc.",
        )
    if not key.strip():
        raise InputError(
            "The order names no field.",
            code="catalog.order.field",
            remedy="Name a field such as metadata.name.",
        )
    return Order(key.strip(), direction == "desc")
