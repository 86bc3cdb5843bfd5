"""The finished document: what the source says, plus relations, status, uid and etag."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson

from catalog.ingest.problems import Problem

STATUS_TYPE = "backstage.io/catalog-processing"


def _etag(document: dict[str, Any]) -> str:
    return hashlib.sha1(orjson.dumps(document, option=orjson.OPT_SORT_KEYS), usedforsecurity=False).hexdigest()


def finished(
    entity: dict[str, Any], uid: str, shown: Sequence[tuple[str, str]], status: dict[str, Any] | None = None
) -> tuple[str, str]:
    """Put a document together.

    Args:
        entity: the processed entity; an etag in its metadata is the author's and stays.
        shown: (type, target) in order.

    Returns:
        Its JSON text, and its etag: SHA-1 of the document with sorted keys, before uid and etag are put in.
    """
    document = {**entity, "relations": [{"type": kind, "targetRef": target} for kind, target in shown]}
    if status:
        document["status"] = {"items": [status]}
    metadata = entity["metadata"]
    etag = str(metadata.get("etag") or _etag(document))
    document["metadata"] = {**metadata, "uid": uid, "etag": etag}
    return orjson.dumps(document).decode(), etag


def rewritten(
    text: str, etag: str, shown: Sequence[tuple[str, str]] | None, status: dict[str, Any] | None
) -> tuple[str, str]:
    """A finished document with other relations (None keeps them) or another status (None keeps it)."""
    document = orjson.loads(text)
    metadata = document["metadata"]
    uid = metadata.pop("uid")
    metadata.pop("etag", None)
    if etag != _etag(document):  # the author gave it
        metadata["etag"] = etag
    relations = document.pop("relations", [])
    earlier = document.pop("status", None)
    if shown is None:
        shown = [(item["type"], item["targetRef"]) for item in relations]
    return finished(document, uid, shown, status or (earlier["items"][0] if earlier else None))


def status_item(problem: Problem) -> dict[str, Any]:
    """How stock shows the error of the last processing."""
    error = {"name": problem.error_name, "message": problem.message}
    return {"type": STATUS_TYPE, "level": "error", "message": f"{problem.error_name}: {problem.message}", "error": error}
