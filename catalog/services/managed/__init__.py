"""Entities that are kept here instead of in files: written over REST, by bulk operations and by commands."""

from catalog.services.managed.places import DEFAULT_NAME, managed_source
from catalog.services.managed.preconditions import ANY_VERSION, NO_CONDITION, Precondition
from catalog.services.managed.writing import (
    Deleted,
    Written,
    delete_entity,
    patch_entity,
    put_entity,
    rename_entity,
    restore_revision,
)

__all__ = [
    "ANY_VERSION",
    "DEFAULT_NAME",
    "NO_CONDITION",
    "Deleted",
    "Precondition",
    "Written",
    "delete_entity",
    "managed_source",
    "patch_entity",
    "put_entity",
    "rename_entity",
    "restore_revision",
]
