"""Reads of this app that others need."""

from __future__ import annotations

from django.db import connection

from portal.access.viewer import Viewer
from portal.core.remember import remembered

# An inactive group ends the way up: what no source names any more passes nothing on. UNION ends circles.
_IDENTITIES = """
WITH RECURSIVE up(id) AS (
    SELECT p.id FROM access_principal p WHERE p.user_id = %s AND p.active
  UNION
    SELECT g.id FROM up JOIN access_membership m ON m.member_id = up.id
    JOIN access_principal g ON g.id = m.group_id AND g.active
)
SELECT p.kind, p.ref, p.title FROM access_principal p JOIN up ON p.id = up.id ORDER BY p.title, p.ref
"""


def _identities(viewer: Viewer) -> list[tuple[str, str, str]]:
    """(kind, reference, title) of the viewer's own identity and of their groups. One statement a request."""
    if viewer.user_id is None:
        return []

    def read() -> list[tuple[str, str, str]]:
        with connection.cursor() as cursor:
            cursor.execute(_IDENTITIES, [viewer.user_id])
            return list(cursor.fetchall())

    return remembered(("access.identities", viewer.user_id), read)


def groups_of(viewer: Viewer) -> list[tuple[str, str]]:
    """(reference, title) of every group the viewer belongs to, directly or through parents."""
    return [(ref, title) for kind, ref, title in _identities(viewer) if kind == "group"]


def person_ref(viewer: Viewer) -> str:
    """The reference of the viewer's own identity, or an empty string."""
    return next((ref for kind, ref, _ in _identities(viewer) if kind != "group"), "")
