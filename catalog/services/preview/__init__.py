"""The real pipeline up to the last step, and nothing written: dry run, validation, analysis, what a change would do."""

from catalog.services.preview.changes import as_files, preview_changes
from catalog.services.preview.questions import analyze_location, preview_location, validate_entity
from catalog.services.preview.report import Report
from catalog.services.preview.working_tree import files_below

__all__ = [
    "Report",
    "analyze_location",
    "as_files",
    "files_below",
    "preview_changes",
    "preview_location",
    "validate_entity",
]
