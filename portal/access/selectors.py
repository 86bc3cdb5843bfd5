"""Reads of this app that others need."""

from __future__ import annotations

from django.db import connection

from portal.access.models import Principal
from portal.access.viewer import Viewer

_GROUPS = """
WITH RECURSIVE up(id) AS (
    SELECT m.group_id FROM access_membership m JOIN access_principal p ON p.id = m.member_id
    WHERE p.user_id = %s AND p.active
  UNION
    SELECT m.group_id FROM access_membership m JOIN up ON m.member_id = up.id
)
SELECT p.ref, p.title FROM access_principal p JOIN up ON p.id = up.id WHERE p.active ORDER BY p.title, p.ref
"""


def groups_of(viewer: Viewer) -> list[tuple[str, str]]:
    """(reference, title) of every group the viewer belongs to, directly or through parents. One statement."""
    if viewer.user_id is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS, [viewer.user_id])
        return list(cursor.fetchall())


def person_ref(viewer: Viewer) -> str:
    """The reference of the viewer's own identity, or an empty string."""
    rows = Principal.objects.visible_to(viewer).filter(user_id=viewer.user_id, active=True)
    return rows.values_list("ref", flat=True).first() or "" if viewer.user_id else ""
