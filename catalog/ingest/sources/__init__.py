"""Where descriptors are read from: Git repositories, web servers, and folders of this machine."""

from __future__ import annotations

from catalog.ingest.sources.base import (
    DEFAULT_PATTERN,
    MISSING,
    File,
    Known,
    Limits,
    Reader,
    UnreadableError,
)
from catalog.ingest.sources.sent import NOWHERE, SentFiles, SentSession
from catalog.ingest.sources.session import ReadSession, Remembered

__all__ = [
    "DEFAULT_PATTERN",
    "MISSING",
    "NOWHERE",
    "File",
    "Known",
    "Limits",
    "ReadSession",
    "Reader",
    "Remembered",
    "SentFiles",
    "SentSession",
    "UnreadableError",
]
