"""Column types that behave the same on both databases."""

from __future__ import annotations

from typing import Any

from django.core import checks
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class CodePointField(models.CharField):
    """Text compared and sorted by code point: collation C on PostgreSQL, what SQLite does anyway.

    Index it in ``Meta``: ``unique`` and ``db_index`` make Django add a second index for ``LIKE`` on PostgreSQL, which
    collation C does not need.
    """

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        found = super().check(**kwargs)
        if self.unique or getattr(self, "db_index", False):  # the stubs do not know it
            message = f"{self} has unique or db_index, which costs a second index."
            hint = "Use a UniqueConstraint or an Index in Meta."
            found.append(checks.Error(message, hint=hint, obj=self, id="core.E001"))
        return found

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters: dict[str, Any] = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters
