"""Signed statements of where the chain was, with copies elsewhere."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from portal.audit.models import AuditEvent, Checkpoint
from portal.audit.services.chain import seal
from portal.core.crypto import KeyringError, SignatureError, sign, verify, verify_with
from portal.core.errors import InputError, NotFoundError

#: Seconds between two checkpoints that the scheduler makes, where there is anything new.
EVERY = 3600
REASON = "checkpoints are about the whole record"


@dataclass(frozen=True, slots=True)
class Statement:
    """A checkpoint as it is signed and written, one JSON line.

    Attributes:
        kind: ``checkpoint`` or ``boundary``.
        position, digest: of the record it is about.
        at: when it was made, ISO 8601 in UTC.
        signature: Ed25519 as ``key id:base64``.
    """

    kind: str
    position: int
    digest: str
    at: str
    signature: str = ""

    @classmethod
    def of(cls, row: Checkpoint) -> Self:
        return cls(row.kind, row.position, row.digest, _moment(row.at), row.signature)

    @classmethod
    def parse(cls, line: str, place: str) -> Self:
        """A line that :meth:`line` wrote.

        Raises:
            InputError: it is none; names ``place``.
        """
        try:
            found: dict[str, Any] = json.loads(line)
            texts = [found[name] for name in ("kind", "digest", "at", "signature")]
            if not all(isinstance(text, str) for text in texts) or type(found["position"]) is not int:
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(
                f"{place} is no checkpoint.",
                code="audit.checkpoint",
                remedy="Give the lines that `manage.py audit checkpoint` wrote, unchanged.",
            ) from None
        return cls(found["kind"], found["position"], found["digest"], found["at"], found["signature"])

    @property
    def signed(self) -> bytes:
        """The bytes that the signature is over."""
        values = ["callboard audit", self.kind, self.position, self.digest, self.at]
        return json.dumps(values, separators=(",", ":")).encode()

    def line(self) -> str:
        return json.dumps(
            {
                "kind": self.kind,
                "position": self.position,
                "digest": self.digest,
                "at": self.at,
                "signature": self.signature,
            }
        )

    def is_genuine(self, public_key: str = "") -> bool:
        """Whether the signature is one of our keys', or that of ``public_key``."""
        try:
            if public_key:
                verify_with(public_key, self.signed, self.signature)
            else:
                verify(self.signed, self.signature)
        except (SignatureError, KeyringError):
            return False
        return True


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def sign_position(kind: str, event: AuditEvent) -> Checkpoint:
    """Write the signed statement about a sealed record, or get the one that is there."""
    assert event.position is not None  # noqa: S101  (only of sealed records)
    at = timezone.now()
    statement = Statement(kind, event.position, event.digest, _moment(at))
    try:
        with transaction.atomic():
            return Checkpoint.objects.create(
                kind=kind,
                position=event.position,
                digest=event.digest,
                at=at,
                signature=sign(statement.signed),
            )
    except IntegrityError:  # of the same record, by another process
        return Checkpoint.objects.unrestricted(REASON).get(kind=kind, position=event.position)


def make_checkpoint() -> Checkpoint | None:
    """Seal what waits and sign where the chain is; None where there is no record yet."""
    seal()
    rows = AuditEvent.objects.unrestricted(REASON).filter(position__isnull=False)
    newest = rows.order_by("-position").first()
    return None if newest is None else sign_position(Checkpoint.Kind.CHECKPOINT, newest)


def write_checkpoints() -> int:
    """Put copies of those that have none into ``CALLBOARD_AUDIT_CHECKPOINTS``. Returns how many.

    Each is a file of its own, there as a whole or not at all; doing it again writes the same.
    """
    folder: Path | None = settings.CALLBOARD_AUDIT_CHECKPOINTS
    if folder is None:
        return 0
    rows = list(Checkpoint.objects.unrestricted(REASON).filter(written_at=None).order_by("position", "kind"))
    for row in rows:
        _write(folder / f"{row.kind}-{row.position:012d}.jsonl", Statement.of(row).line() + "\n")
        Checkpoint.objects.filter(pk=row.pk).update(written_at=timezone.now())
    return len(rows)


def keep_checkpoints() -> None:
    """The scheduler's chore: a checkpoint each ``EVERY`` seconds, however many schedulers there are, and its copy."""
    rows = Checkpoint.objects.unrestricted(REASON).filter(kind=Checkpoint.Kind.CHECKPOINT)
    if not rows.filter(at__gt=timezone.now() - timedelta(seconds=EVERY * 0.9)).exists():
        make_checkpoint()
    write_checkpoints()


def read_checkpoints(path: Path) -> Iterator[tuple[str, Statement]]:
    """Statements of a file of JSON lines, or of all ``*.jsonl`` of a folder, each with its place.

    Raises:
        NotFoundError: there is no such file, or the folder has none.
        InputError: a line is no checkpoint.
    """
    files: Iterable[Path] = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    empty = True
    for file in files:
        try:
            lines = file.read_text("utf-8", "replace").splitlines()
        except OSError as error:
            raise NotFoundError(f"{file} cannot be read: {error.strerror}.", code="audit.file") from None
        for number, line in enumerate(lines, start=1):
            if line.strip():
                empty = False
                place = f"{file.name} line {number}"
                yield place, Statement.parse(line, place)
    if empty:
        raise NotFoundError(f"There is no checkpoint in {path}.", code="audit.file")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
