"""The numbers that tell every process when what it remembers is old."""

from __future__ import annotations

from django.db.models import F

from catalog.models import DataVersion

KINDS = "kinds"
ENTITIES = "entities"


def current_version(name: str) -> int:
    """The number now; 0 before the first change. One statement by primary key."""
    return DataVersion.objects.filter(pk=name).values_list("value", flat=True).first() or 0


def raise_version(name: str) -> None:
    """One more, in the caller's transaction."""
    if not DataVersion.objects.filter(pk=name).update(value=F("value") + 1):
        DataVersion.objects.get_or_create(pk=name, defaults={"value": 1})


def claim_version(name: str, seen: int) -> bool:
    """Raise the number from ``seen``. False where somebody else raised it since: compare again.

    On PostgreSQL the row stays locked until the caller's transaction ends, so publications come one after the other.
    """
    if DataVersion.objects.filter(pk=name, value=seen).update(value=seen + 1):
        return True
    return seen == 0 and DataVersion.objects.get_or_create(pk=name, defaults={"value": 1})[1]


def wait_for_publications() -> None:
    """Until the caller's transaction ends nobody else publishes, as on SQLite in any writing transaction."""
    DataVersion.objects.select_for_update().filter(pk=ENTITIES).first()
