"""Errors of the catalog that are not plain input errors."""

from __future__ import annotations

from portal.core.errors import CallboardError, ConflictError


class SourceTakenError(ConflictError):
    """The target is registered already; ``details["id"]`` says as what."""

    default_code = "catalog.source.taken"


class PreconditionRequiredError(CallboardError):
    """The write would replace or remove something, and the caller did not say which version it has seen."""

    name, status, default_code = "PreconditionRequiredError", 428, "precondition-required"


class DeclaredElsewhereError(ConflictError):
    """A source declares the entity, so its text has to change there; ``details["declaredBy"]`` names the source."""

    default_code = "catalog.write.declared-elsewhere"
