"""What a process remembers of the catalog: until the next publication, and never more than it may.

Every publication raises the number ``entities`` of ``DataVersion`` in its own transaction. Whoever wants to use what
is remembered reads that number first (one statement by primary key) and asks for it under that number, so that a
process never answers with something older than the moment at which it was asked.

Nothing is remembered inside a transaction: it may see its own uncommitted rows, and they may be rolled back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from django.db import connection
from django.db.models.signals import post_migrate

from catalog.query.sql import Sql, fetch_one

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
_VERSION = Sql("SELECT value FROM catalog_dataversion WHERE name = 'entities'")

ENTITIES = "entities"
#: Bytes that answers may take in one process. A whole list of 6,000 entities is about 10 MB.
CAPACITY = 48 * 1024 * 1024
LARGEST = 24 * 1024 * 1024
_OVERHEAD = 400  # of an entry, beside its value


def entities_version() -> int | None:
    """The number of the last publication, or None where nothing may be remembered. One statement."""
    if connection.in_atomic_block:
        return None
    row = fetch_one(_VERSION)
    return row[0] if row else 0


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

    def get_many(self, version: int | None, keys: Iterable[K]) -> dict[K, Any]:
        """What was kept for any of the keys."""
        if version is None:
            return {}
        with self._lock:
            if version != self._version:
                return {}
            found = {key: entry.value for key in keys if (entry := self._entries.get(key)) is not None}
            for key in found:
                self._entries.move_to_end(key)
            return found

    def put(self, version: int | None, key: Hashable, value: Any, size: int) -> None:
        """Keep ``value``, which takes ``size`` bytes. A number smaller than the one known is too late."""
        self.put_many(version, [(key, value, size)])

    def put_many(self, version: int | None, entries: Iterable[tuple[Hashable, Any, int]]) -> None:
        """Keep several: key, value, bytes."""
        if version is None:
            return
        with self._lock:
            if self._version is None or version > self._version:
                self._forget()
                self._version = version
            elif version < self._version:
                return
            for key, value, size in entries:
                if size <= self.largest:
                    self._keep(key, value, size + _OVERHEAD)

    def _keep(self, key: Hashable, value: Any, size: int) -> None:
        earlier = self._entries.pop(key, None)
        if earlier is not None:
            self.size -= earlier.size
        self._entries[key] = _Entry(value, size)
        self.size += size
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
