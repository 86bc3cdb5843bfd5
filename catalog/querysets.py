"""What can be asked of entities, as words."""

from __future__ import annotations

from typing import Self

from portal.access.querysets import RestrictedQuerySet


class EntityQuerySet(RestrictedQuerySet):
    """Entities."""

    def of_kind(self, kind: str) -> Self:
        return self.filter(kind=kind.lower())

    def owned_by(self, *refs: str) -> Self:
        """Directly owned by one of these references."""
        return self.filter(owner_ref__in=[ref.lower() for ref in refs])

    def with_document(self) -> Self:
        """Documents come along in the same statement."""
        return self.select_related("document")
