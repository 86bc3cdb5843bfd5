"""Errors of the catalog that are not plain input errors."""

from __future__ import annotations

from portal.core.errors import ConflictError


class SourceTakenError(ConflictError):
    """The target is registered already; ``details["id"]`` says as what."""

    default_code = "catalog.source.taken"
