"""Reads of this app that others need."""

from __future__ import annotations

from django.db import connection

from portal.access.models import Principal
from portal.access.viewer import Viewer

# An inactive group ends the way up: what no source names any more passes nothing on. UNION ends circles.
_GROUPS = """
WITH RECURSIVE up(id) AS (
    SELECT p.id FROM access_principal p WHERE p.user_id = %s AND p.active
  UNION
    SELECT g.id FROM up JOIN access_membership m ON m.member_id = up.id
    JOIN access_principal g ON g.id = m.group_id AND g.active
)
SELECT p.ref, p.title FROM access_principal p JOIN up ON p.id = up.id WHERE p.kind = 'group' ORDER BY p.title, p.ref
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
    if viewer.user_id is None:
        return ""
    rows = Principal.objects.unrestricted("one's own identity").filter(user_id=viewer.user_id, active=True)
    return rows.values_list("ref", flat=True).first() or ""
