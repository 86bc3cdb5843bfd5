"""What a viewer may see, for statements that are written by hand."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import NamedTuple

from django.core.exceptions import EmptyResultSet

from catalog.models import Entity
from catalog.query.sql import FALSE, TRUE, Sql
from portal.access.viewer import VIEW, Viewer

_TABLE = re.compile(r"\b(?:FROM|JOIN) ([\w\"]+)")
_PUBLISHED = frozenset(
    ("catalog_entity", "catalog_entityattribute", "catalog_attributevalue", "catalog_relation")
)


class Scope(NamedTuple):
    """What ``visible_to`` narrows by.

    Attributes:
        sql: an expression over ``e``, the entities of the statement; true for those that may be seen.
        key: equal for viewers who see the same entities, so that an answer for one is one for the other. None where
            that may change without a publication: then nothing is remembered.
    """

    sql: Sql
    key: Hashable | None

    @property
    def is_everything(self) -> bool:
        return self.sql is TRUE


def scope_of(viewer: Viewer, action: str = VIEW) -> Scope:
    """The scope of a viewer, made by ``visible_to`` itself."""
    query = Entity.objects.visible_to(viewer, action).query
    if query.is_empty():
        return Scope(FALSE, "nothing")
    if not query.where:
        return Scope(TRUE, "everything")
    query.clear_ordering(force=True)
    query.clear_select_clause()
    query.add_fields(["pk"])
    try:
        text, values = query.sql_with_params()
    except EmptyResultSet:
        return Scope(FALSE, "nothing")
    # Rows of the catalog change with a publication; other tables (memberships, grants) at any time.
    own = all(table.strip('"') in _PUBLISHED for table in _TABLE.findall(text))
    return Scope(Sql(f"e.id IN ({text})", tuple(values)), (text, repr(values)) if own else None)
