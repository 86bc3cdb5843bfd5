"""Writes to many entities at once: looked at first, done by a job, undone."""

from catalog.services.bulk.changes import Change
from catalog.services.bulk.operations import BULK_JOB, start_bulk, undo_bulk
from catalog.services.bulk.preview import Preview, preview_bulk
from catalog.services.bulk.running import run_bulk
from catalog.services.bulk.selection import Selection

__all__ = [
    "BULK_JOB",
    "Change",
    "Preview",
    "Selection",
    "preview_bulk",
    "run_bulk",
    "start_bulk",
    "undo_bulk",
]
