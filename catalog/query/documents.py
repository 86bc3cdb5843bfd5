"""Finished documents as text, handed out without being parsed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from catalog.models import Entity, EntityDocument
from catalog.query.compile import NARROWED
from catalog.query.dictionary import is_storable
from portal.access.viewer import Viewer

TOGETHER = 1_000


def text_of_ref(viewer: Viewer, ref: str) -> str | None:
    """The document of a canonical reference, or None where there is none for this viewer. One statement."""
    if not is_storable(ref):
        return None
    text: str | None = (
        Entity.objects.visible_to(viewer).filter(ref=ref).values_list("document__text", flat=True).first()
    )
    return text


def text_of_uid(viewer: Viewer, uid: str) -> str | None:
    """The document of a uid, which is lower case with dashes; any other writing is nobody's."""
    try:
        key = uuid.UUID(uid)
    except ValueError:
        return None
    if str(key) != uid:
        return None
    text: str | None = (
        Entity.objects.visible_to(viewer).filter(uid=key).values_list("document__text", flat=True).first()
    )
    return text


def texts_of(numbers: Sequence[int]) -> dict[int, str]:
    """Document texts by the keys of their entities, which the viewer was shown."""
    rows = EntityDocument.objects.unrestricted(NARROWED).filter(pk__in=numbers)
    return dict(rows.values_list("pk", "text"))


def iterate_texts(numbers: Sequence[int], *, together: int = TOGETHER) -> Iterator[str]:
    """The same in the order of ``numbers``, some at a time; what has gone meanwhile is left out."""
    for start in range(0, len(numbers), together):
        part = numbers[start : start + together]
        texts = texts_of(part)
        yield from (texts[number] for number in part if number in texts)
