"""Finished documents as text, handed out without being parsed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from catalog.query.dictionary import is_storable
from catalog.query.scope import scope_of
from catalog.query.sql import Sql, concat, fetch, fetch_one, join, one_of, parse_uid, uid_value
from portal.access.viewer import Viewer

#: Rows that are read with one statement.
TOGETHER = 1_000
_TEXT = "SELECT d.text FROM catalog_entity e JOIN catalog_entitydocument d ON d.entity_id = e.id WHERE "


def text_of_ref(viewer: Viewer, ref: str) -> str | None:
    """The document of a canonical reference, or None where there is none for this viewer. One statement."""
    return _text(viewer, Sql("e.ref = %s", (ref,))) if is_storable(ref) else None


def text_of_uid(viewer: Viewer, uid: str) -> str | None:
    """The document of a uid, which is lower case with dashes; any other writing is nobody's."""
    key = parse_uid(uid)
    return _text(viewer, Sql("e.uid = %s", (uid_value(key),))) if key else None


def _text(viewer: Viewer, wanted: Sql) -> str | None:
    scope = scope_of(viewer)
    row = fetch_one(concat(_TEXT, wanted if scope.is_everything else join("AND", (wanted, scope.sql))))
    return row[0] if row else None


def texts_by_ref(refs: Iterable[str], condition: Sql) -> dict[str, str]:
    """Documents of these references, each storable and named once, as far as they fit ``condition``, which holds what
    the viewer may see.
    """
    wanted = list(refs)
    texts: dict[str, str] = {}
    for start in range(0, len(wanted), TOGETHER):
        statement = concat(
            "SELECT e.ref, d.text FROM catalog_entity e JOIN catalog_entitydocument d ON d.entity_id = e.id "
            "WHERE ",
            one_of("e.ref", wanted[start : start + TOGETHER]),
            " AND ",
            condition,
        )
        texts.update(fetch(statement))
    return texts


def texts_of(numbers: Sequence[int]) -> list[str]:
    """Documents by the keys of entities that the viewer was shown, in order; what has gone meanwhile is left out."""
    if not numbers:
        return []
    statement = concat(
        "SELECT entity_id, text FROM catalog_entitydocument WHERE ", one_of("entity_id", numbers)
    )
    texts = dict(fetch(statement))
    return [texts[number] for number in numbers if number in texts]
