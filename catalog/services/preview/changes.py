"""What would a change do: read, checked and compared as a sync does it, and nothing written."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings

from catalog.ingest.collect import collect
from catalog.ingest.collected import Collected
from catalog.ingest.description import SourceDescription
from catalog.ingest.sources import NOWHERE, Limits, SentFiles, SentSession
from catalog.models import Source
from catalog.selectors import known_files
from catalog.services.kinds import current_registry
from catalog.services.preview.examine import Examination
from catalog.services.preview.report import Report
from catalog.services.publishing.compare import compare
from catalog.services.removals import hold_back
from catalog.services.sources import check_source, location_ref_of
from catalog.services.sources_file import declared_rules
from portal.access.viewer import Viewer
from portal.connections.gates import ConnectionGate
from portal.connections.selectors import host_configs
from portal.core.errors import InputError, ServiceUnavailableError, TimedOutError
from portal.core.process import CancelledError

#: Somebody waits for the answer.
PATIENCE = timedelta(seconds=5)
LONGEST_SECONDS = 60.0
#: What one question may read from elsewhere.
MOST_READ_FILES = 20_000
MOST_READ_BYTES = 256 * 1024 * 1024
#: Questions that one process works on at a time, and how long the others wait for their turn.
TURNS, WAIT_SECONDS = 2, 10.0
ANY_YAML = "**/*.{yaml,yml}"
_turns = threading.BoundedSemaphore(TURNS)


def preview_changes(
    *,
    actor: Viewer,
    source: Source | None = None,
    ref: str = "",
    target: str = "",
    type: str = Source.Type.URL,
    branch: str = "",
    pattern: str = "",
    allowed_kinds: Sequence[str] = (),
    sent: SentFiles | None = None,
) -> Report:
    """What the catalog would do with a place, as it is or as somebody means to change it.

    Args:
        source: a registered source, which the actor may read anew; None for one that is not registered.
        ref: read its branch as if it were this branch, tag, full ref name or commit id; only for Git repositories.
        target, type, branch, pattern, allowed_kinds: of a source that is not registered. Without a target, what was
            sent stands for itself.
        sent: files that stand in the place of those that are there.

    Raises:
        InputError: neither source, target nor files; a target that can be none; a ref where there are none.
        NotFoundError: there is no such ref.
        ServiceUnavailableError: others ask just now.
        TimedOutError: it took too long.
        CallboardError: the server of the ref cannot be asked. What cannot be read beside that stands in the report.
    """
    described = source or _described(actor, target, type, branch, pattern, allowed_kinds, sent)
    registry = current_registry()
    rules = None if described.allowed_kinds else declared_rules()
    description = SourceDescription.of(described, registry, rules=rules)
    deadline = float("inf")

    def late() -> bool:
        return time.monotonic() > deadline

    session = SentSession(
        root=description.root,
        branch=description.branch,
        ref=ref,
        sent=sent,
        readable=None if actor.is_system else frozenset(known_files(described)),
        hosts=host_configs(),
        cancelled=late,
        gate=ConnectionGate(cancelled=late, longest_wait=PATIENCE),
        limits=Limits(
            file_bytes=settings.CALLBOARD_MAX_FILE_BYTES,
            files=MOST_READ_FILES,
            total_bytes=MOST_READ_BYTES,
            request_seconds=LONGEST_SECONDS / 2,
            fetch_seconds=LONGEST_SECONDS,
        ),
    )
    with _turn(), session:
        deadline = time.monotonic() + LONGEST_SECONDS
        try:
            session.prepare()
            # An unreadable file is a problem and no end of the reading; lateness is one.
            found = collect(
                description, session=session, registry=registry, progress=lambda *_: session.check()
            )
        except CancelledError as error:
            raise TimedOutError(
                f"Reading {described.target} took longer than {LONGEST_SECONDS:.0f} s.",
                code="catalog.preview.late",
                remedy="Ask about a smaller part, or send only what changed.",
            ) from error
        report = _compared(actor, described, found, session)
    report.ref = ref
    if source is None:
        report.source = ""
    return report


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=WAIT_SECONDS):
        raise ServiceUnavailableError(
            f"{TURNS} previews are being made just now.",
            code="catalog.preview.busy",
            remedy="Ask again in a moment.",
        )
    try:
        yield
    finally:
        _turns.release()


def _compared(actor: Viewer, source: Source, found: Collected, session: SentSession) -> Report:
    plan = compare(source, found)
    held = hold_back(source, plan)
    return Examination(actor, source, found, plan, held, session.path_of).report()


def _described(
    actor: Viewer,
    target: str,
    type: str,
    branch: str,
    pattern: str,
    allowed_kinds: Sequence[str],
    sent: SentFiles | None,
) -> Source:
    """A source that is not registered, as a row that is never saved."""
    if not target:
        if sent is None or not sent.files:
            raise InputError(
                "There is nothing to look at: neither a source, nor a target, nor files.",
                code="catalog.preview.nothing",
                remedy="Name a source or a target, or send files.",
            )
        if not sent.complete:
            raise InputError(
                "Files that are only a part need the source they are a part of.",
                code="catalog.preview.part",
                remedy="Name the source, or send all files with `complete` true.",
            )
        target, type, pattern = NOWHERE, Source.Type.URL, pattern or _pattern_for(sent)
    registered_by = Source.RegisteredBy.COMMAND if actor.is_system else Source.RegisteredBy.API
    described = Source(
        pk=uuid4(),
        name=target[:120],
        type=type,
        target=target,
        branch=branch,
        pattern=pattern,
        allowed_kinds=list(allowed_kinds),
        registered_by=registered_by,
    )
    described.entity_ref = location_ref_of(type, target)
    check_source(described)
    return described


def _pattern_for(sent: SentFiles) -> str:
    """The usual names of descriptors where there are any, else all YAML files."""
    usual = any(path.rpartition("/")[2] in ("catalog-info.yaml", "catalog-info.yml") for path in sent.files)
    return "" if usual else ANY_YAML


def as_files(items: Sequence[Any]) -> list[tuple[str, bytes]]:
    """Paths and contents from JSON: ``[{"path": …, "content": …}]``.

    Raises:
        InputError: another form.
    """
    files = []
    for number, item in enumerate(items):
        path = item.get("path") if isinstance(item, dict) else None
        content = item.get("content") if isinstance(item, dict) else None
        if not isinstance(path, str) or not isinstance(content, str):
            raise InputError(
                f"request/body/files/{number} must have the texts path and content.",
                code="api.body.type",
            )
        files.append((path, content.encode("utf-8", "surrogatepass")))
    return files
