"""The document that readers get: the processed entity with what only the catalog as a whole knows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from catalog.ingest.annotations import ORPHAN, without_scripts


def final_document(
    entity: dict[str, Any],
    *,
    uid: str,
    relations: Iterable[tuple[str, str]],
    orphan: bool = False,
    status: Mapping[str, Any] | None = None,
) -> tuple[str, str]:
    """The finished entity.

    Args:
        entity: of :class:`Processed`; not changed.
        uid: of the stored row.
        relations: pairs of type and target reference, from this entity, whoever declared them; in any order.
        orphan: nothing declares it any more: it gets the annotation.
        status: ``{"items": [...]}`` when its last processing failed.

    Returns:
        compact JSON, and the etag in it: the author's, or the SHA-1 of the entity with sorted keys before uid and
        etag come in.
    """
    metadata = {**entity["metadata"]}
    annotations = without_scripts(metadata.get("annotations") or {})
    metadata["annotations"] = {**annotations, ORPHAN: "true"} if orphan else annotations
    document = {
        **entity,
        "metadata": metadata,
        "relations": [{"type": kind, "targetRef": target} for kind, target in sorted(set(relations))],
    }
    if status is not None:
        document["status"] = status
    etag = metadata.get("etag")
    if not etag:
        digest = hashlib.sha1(orjson.dumps(document, option=orjson.OPT_SORT_KEYS), usedforsecurity=False)
        etag = digest.hexdigest()
    metadata["uid"] = uid
    metadata["etag"] = etag
    return orjson.dumps(document).decode(), etag
