"""What is remembered of the files of a source from one reading to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from catalog.ingest.collected import Collected
from catalog.ingest.records import FileRecord
from catalog.ingest.sources import Known, Remembered
from catalog.models import Source, SourceFile
from portal.core.bulk import update_rows

REASON = "a sync reads for the system"
COLUMNS = ("version", "digest", "mark", "commit", "record")


def remember_files(
    *, source: Source, known: Mapping[str, Known], places: Iterable[Remembered], found: Collected
) -> None:
    """Make the rows of ``source`` what a reading saw, in the caller's transaction; only the difference is written.

    Args:
        known: the rows as they are.
    """
    new, changed, seen = [], [], set()
    for place in places:
        seen.add(place.url)
        before, record = known.get(place.url), found.records.get(place.url)
        text = "" if record is None else _text(record, found, before)
        row = (place.version, place.digest, place.mark, place.commit, text)
        if before is None:
            new.append(SourceFile(source=source, url=place.url, **dict(zip(COLUMNS, row, strict=True))))
        elif before[: len(COLUMNS)] != row:
            changed.append((*row, before.id))
    gone = [place.id for url, place in known.items() if url not in seen]
    rows = SourceFile.objects.unrestricted(REASON).filter(source=source)
    for start in range(0, len(gone), 500):
        rows.filter(pk__in=gone[start : start + 500]).delete()
    SourceFile.objects.bulk_create(new, batch_size=500)
    update_rows(SourceFile, COLUMNS, changed)


def _text(record: FileRecord, found: Collected, before: Known | None) -> str:
    """A record with the fingerprints of what counts, as text."""
    documents = tuple(
        d._replace(digest=found.hashes.get(d.ref, "")) if d.won and not d.digest else d
        for d in record.documents
    )
    return replace(record, documents=documents).encode()
