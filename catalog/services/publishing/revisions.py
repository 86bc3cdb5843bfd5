"""Closing versions: copying what entities are into ``Revision`` before another version takes their place.

The rows are copied inside the database. Documents of thousands of entities never come here.
"""
# ruff: noqa: S608  (tables and columns are our own words; values travel beside the text)

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from catalog.models import Revision, RevisionAttribute, RevisionRelation
from catalog.services.publishing.plan import chunks

#: Columns that an entity and its past versions have under one name.
SAME = (
    "uid", "ref", "kind", "namespace", "name", "label", "type", "lifecycle", "owner_ref", "system_ref", "etag",
    "content_hash", "source_id", "url", "document_index", "line", "commit", "sync_id", "created_at",
)  # fmt: skip
_MARK = "%s"


def close_versions(ids: Sequence[int], *, end: str, actor: str = "", now: datetime) -> None:
    """Copy the present versions of these entities, with what could be searched of them and what they declare.

    Call it before they are changed or deleted, in the same transaction; who changes them raises ``Entity.revision``.

    Args:
        end: value of ``Revision.End``.
        actor: who removed them, where somebody did.
    """
    same = ", ".join(f"e.{quoted(column)}" for column in SAME)
    names = ", ".join(quoted(column) for column in SAME)
    for part in chunks(ids, 500):
        among, values = _among(part)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO catalog_revision ({names}, number, actor, since, until, {quoted('end')}, ended_by, "
                f"source_name, text) SELECT {same}, e.revision, e.revised_by, e.revised_at, "
                # A clock that was set back must not make a version end before it began.
                f"CASE WHEN e.revised_at > {_MARK} THEN e.revised_at ELSE {_MARK} END, {_MARK}, {_MARK}, "
                "COALESCE(s.name, ''), d.text FROM catalog_entity e "
                "JOIN catalog_entitydocument d ON d.entity_id = e.id "
                f"LEFT JOIN catalog_source s ON s.id = e.source_id WHERE e.id {among} ORDER BY e.id",
                [*[_moment(now)] * 2, end, actor, *values],
            )
            version = "catalog_revision v ON v.uid = e.uid AND v.number = e.revision"
            cursor.execute(
                "INSERT INTO catalog_revisionattribute (revision_id, key_id, value_id) "
                "SELECT v.id, a.key_id, a.value_id FROM catalog_entity e "
                f"JOIN {version} JOIN catalog_entityattribute a ON a.entity_id = e.id WHERE e.id {among}",
                values,
            )
            cursor.execute(
                "INSERT INTO catalog_revisionrelation (revision_id, source_ref, type, target_ref) "
                "SELECT v.id, r.source_ref, r.type, r.target_ref FROM catalog_entity e "
                f"JOIN {version} JOIN catalog_relation r ON r.origin_id = e.id WHERE e.id {among}",
                values,
            )


def quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _moment(now: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(now)


def _among(ids: Sequence[int]) -> tuple[str, list[Any]]:
    if connection.vendor == "postgresql":
        return f"= ANY({_MARK})", [list(ids)]
    return f"IN ({', '.join([_MARK] * len(ids))})", list(ids)


def forget_old_versions() -> int:
    """Delete versions that ended longer ago than the history goes back. Returns how many; one statement for none.

    The last version of an entity that can still be restored stays with its tombstone.
    """
    horizon = timezone.now() - timedelta(days=settings.CALLBOARD_HISTORY_DAYS)
    reason = "old versions of everything"
    old = Revision.objects.unrestricted(reason).filter(until__lt=horizon, tombstone=None)
    keys = list(old.order_by("until").values_list("pk", flat=True)[:5_000])
    for part in chunks(keys, 500):
        RevisionAttribute.objects.unrestricted(reason).filter(revision_id__in=part).delete()
        RevisionRelation.objects.unrestricted(reason).filter(revision_id__in=part).delete()
        Revision.objects.unrestricted(reason).filter(pk__in=part).delete()
    return len(keys)
