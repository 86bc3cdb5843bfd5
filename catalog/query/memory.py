"""What a process remembers of the catalog: until the next publication, and never more than it may.

Every publication raises the number ``entities`` of ``DataVersion`` in its own transaction. Whoever wants to use what
is remembered reads that number first (one statement by primary key) and asks for it under that number, so that a
process never answers with something older than the moment at which it was asked.

Nothing is remembered inside a transaction: it may see its own uncommitted rows, and they may be rolled back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Q
from django.db.models.signals import post_migrate

from catalog.models import DataVersion
from portal.access.querysets import policy_for
from portal.access.viewer import VIEW, Viewer

T = TypeVar("T")

ENTITIES = "entities"
#: Bytes that answers may take in one process. A whole list of 6,000 entities is about 10 MB.
CAPACITY = 48 * 1024 * 1024
LARGEST = 24 * 1024 * 1024
_OVERHEAD = 400  # of an entry, beside its value
_COMPARISONS = frozenset({"", "exact", "in", "isnull", "startswith", "lt", "lte", "gt", "gte"})


def entities_version() -> int | None:
    """The number of the last publication, or None where nothing may be remembered. One statement."""
    if connection.in_atomic_block:
        return None
    return DataVersion.objects.filter(pk=ENTITIES).values_list("value", flat=True).first() or 0


@dataclass(slots=True)
class _Entry:
    value: Any
    size: int


class Memory:
    """Least recently used goes first; everything goes when the number changes.

    Args:
        capacity: bytes for all values together.
        largest: bytes for one value; larger ones are not kept.
    """

    def __init__(self, capacity: int = CAPACITY, largest: int = LARGEST) -> None:
        self.capacity = capacity
        self.largest = largest
        self.size = 0
        self._version: int | None = None
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = Lock()

    def get(self, version: int | None, key: Hashable) -> Any | None:
        """What was kept for ``key`` under this very number, or None."""
        if version is None:
            return None
        with self._lock:
            if version != self._version:
                return None
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry.value

    def put(self, version: int | None, key: Hashable, value: Any, size: int) -> None:
        """Keep ``value``, which takes ``size`` bytes. A number smaller than the one known is too late."""
        if version is None or size > self.largest:
            return
        with self._lock:
            if self._version is None or version > self._version:
                self._forget()
                self._version = version
            elif version < self._version:
                return
            earlier = self._entries.pop(key, None)
            if earlier is not None:
                self.size -= earlier.size
            self._entries[key] = _Entry(value, size + _OVERHEAD)
            self.size += size + _OVERHEAD
            while self.size > self.capacity:
                _, oldest = self._entries.popitem(last=False)
                self.size -= oldest.size

    def recall(
        self, version: int | None, key: Hashable, make: Callable[[], T], size: Callable[[T], int]
    ) -> T:
        """What was kept, or what ``make`` gives, kept."""
        found = self.get(version, key)
        if found is None:
            found = make()
            self.put(version, key, found, size(found))
        value: T = found
        return value

    def forget(self) -> None:
        with self._lock:
            self._forget()
            self._version = None

    def _forget(self) -> None:
        self._entries.clear()
        self.size = 0


#: Answers of this process.
memory = Memory()


def forget_everything(**_: object) -> None:
    """For tests, and after a migration or flush: the numbers may begin again."""
    memory.forget()


post_migrate.connect(forget_everything, dispatch_uid="catalog.query.memory")


def scope_of(viewer: Viewer, model: type[Any], action: str = VIEW) -> Hashable | None:
    """A key that is equal for viewers who see the same rows, for remembering answers; None: remember nothing.

    Rows that a condition on the model's own columns allows change only with a publication. A condition that looks at
    other tables (memberships, grants) may change at any time, so its answers are never kept.
    """
    condition = policy_for(model)(viewer, action)
    if condition is None:
        return ("none",)
    if not condition:
        return ("all",)
    fields = {field.name for field in model._meta.concrete_fields} | {"pk"}
    written: list[Any] = []
    parts: list[Any] = [condition]
    while parts:
        part = parts.pop()
        if isinstance(part, Q):
            written.append((part.connector, part.negated, len(part.children)))
            parts.extend(part.children)
        elif isinstance(part, tuple) and _is_own(part[0], fields) and _is_plain(part[1]):
            written.append((part[0], repr(part[1])))
        else:
            return None
    return ("where", tuple(written))


def _is_own(lookup: str, fields: set[str]) -> bool:
    name, _, comparison = lookup.partition("__")
    return name in fields and comparison in _COMPARISONS


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float | bool)
