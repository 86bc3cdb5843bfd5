"""Reading a source that is kept here: its documents go through the pipeline like those of a file."""

from __future__ import annotations

from dataclasses import replace

import orjson

from catalog.ingest.collected import Collected
from catalog.ingest.problems import Rejected
from catalog.models import KeptDocument, Source
from catalog.services.managed.documents import address_of, process_kept

REASON = "a sync reads for the system"


def collect_kept(source: Source, found: Collected) -> None:
    """Fill ``found`` anew with everything the source keeps.

    Call it while comparing, so that what somebody writes meanwhile is read before it could be overwritten.
    """
    found.declared.clear()
    found.failed.clear()
    found.invalid.clear()
    found.problems.clear()
    found.hashes.clear()
    found.read.clear()
    rows = KeptDocument.objects.unrestricted(REASON).filter(source=source).order_by("ref")
    for ref, text in rows.values_list("ref", "text"):
        address = address_of(ref)
        found.read.add(address)
        try:
            kept = process_kept(orjson.loads(text), source=source, ref=ref)
        except Rejected as rejected:
            first = replace(rejected.problems[0], url=address)
            found.failed[ref] = first
            found.invalid.add(ref)
            found.problems += [(replace(problem, url=address), ref) for problem in rejected.problems]
            continue
        found.declared[ref] = kept.declared
        found.problems += [(replace(problem, url=address), ref) for problem in kept.warnings]
    found.files = found.documents = len(found.read)
