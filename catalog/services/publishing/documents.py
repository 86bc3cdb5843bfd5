"""Stored documents with other relations or another status."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from catalog.ingest.final import final_document
from catalog.ingest.problems import Problem

STATUS_TYPE = "backstage.io/catalog-processing"
PROBE = "-"


def rewritten(
    text: str, etag: str, shown: Iterable[tuple[str, str]] | None, status: dict[str, Any] | None
) -> tuple[str, str]:
    """A finished document with other relations (None keeps them) or another status (None keeps it).

    Returns:
        Its JSON text and its etag, which stays where the author gave it.
    """
    document = orjson.loads(text)
    metadata = document["metadata"]
    uid = metadata.pop("uid")
    metadata.pop("etag")
    relations = [(item["type"], item["targetRef"]) for item in document.pop("relations")]
    earlier = document.pop("status", None)
    if final_document(document, uid=PROBE, relations=relations, status=earlier)[1] != etag:
        metadata["etag"] = etag  # not computed, so the author wrote it
    return final_document(
        document, uid=uid, relations=relations if shown is None else shown, status=status or earlier
    )


def failed_status(problem: Problem) -> dict[str, Any]:
    """How stock shows the error of the last processing."""
    error = {"name": problem.error_name, "message": problem.message}
    message = f"{problem.error_name}: {problem.message}"
    return {"items": [{"type": STATUS_TYPE, "level": "error", "message": message, "error": error}]}
