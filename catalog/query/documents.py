"""Finished documents as text, handed out without being parsed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from catalog.models import EntityDocument

TOGETHER = 1_000


def texts_of(numbers: Sequence[int], *, scoped_by: str) -> dict[int, str]:
    """Document texts by the keys of their entities, which were read under the scope ``scoped_by``."""
    rows = EntityDocument.objects.scoped(scoped_by).filter(pk__in=numbers)
    return dict(rows.values_list("pk", "text"))


def iterate_texts(numbers: Sequence[int], *, scoped_by: str, together: int = TOGETHER) -> Iterator[str]:
    """The same in the order of ``numbers``, some at a time; what has gone meanwhile is left out."""
    for start in range(0, len(numbers), together):
        part = numbers[start : start + together]
        texts = texts_of(part, scoped_by=scoped_by)
        yield from (texts[number] for number in part if number in texts)
