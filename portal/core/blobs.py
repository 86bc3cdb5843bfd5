"""Contents by their own name: the SHA-256 of a blob is its address, so it can neither change nor be stored twice.

Kept through Django's storages under the alias ``blobs`` (a folder, S3-compatible, a shared folder); where settings
have none, in a folder below the data folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import IO

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage, storages

from portal.core.errors import CallboardError, InputError, NotFoundError

#: Bytes of a blob that :func:`open_blob` holds in memory; larger ones go to a temporary file.
IN_MEMORY = 8 * 1024 * 1024
_CHUNK = 1024 * 1024


class BlobDamagedError(CallboardError):
    """What the storage gave back is not what was put there."""

    default_code = "blobs.damaged"


def put(data: bytes) -> str:
    """Store a blob; nothing happens where it is already.

    Returns:
        its digest: 64 lower-case hex digits.
    """
    digest = hashlib.sha256(data).hexdigest()
    storage, name = _storage(), _name(digest)
    if storage.exists(name):
        if storage.size(name) == len(data):
            return digest
        storage.delete(name)  # a torso, of a storage that does not write at once
    if isinstance(storage, FileSystemStorage):
        _write_at_once(Path(storage.path(name)), data)
        return digest
    stored = storage.save(name, ContentFile(data))
    if stored != name:  # somebody else put the same at the same moment
        storage.delete(stored)
    return digest


def exists(digest: str) -> bool:
    """Whether a blob is there.

    Raises:
        InputError: not a digest.
    """
    return _storage().exists(_name(digest))


def get(digest: str) -> bytes:
    """The contents of a blob, checked against its digest.

    Raises:
        NotFoundError: there is none.
        BlobDamagedError: it has changed since it was stored.
        InputError: not a digest.
    """
    with open_blob(digest) as file:
        return file.read()


def open_blob(digest: str) -> IO[bytes]:
    """A blob as an open file, checked as a whole before the first byte is handed out. Close it after use.

    Raises:
        as :func:`get`.
    """
    name = _name(digest)
    # Closed by the caller, or below when it is not handed out.
    copy: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  (handed to the caller)
    found = hashlib.sha256()
    try:
        with _storage().open(name, "rb") as stored:
            for chunk in stored.chunks(_CHUNK):
                found.update(chunk)
                copy.write(chunk)
    except FileNotFoundError:
        copy.close()
        raise NotFoundError(
            f"There is no blob {digest}.",
            code="blobs.not-found",
            remedy="Make or read it again where it came from.",
        ) from None
    except BaseException:
        copy.close()
        raise
    if found.hexdigest() != digest:
        copy.close()
        raise BlobDamagedError(
            f"The blob {digest} has changed since it was stored.",
            remedy="Check the storage of blobs; restore it, or make the blob again where it came from.",
        )
    copy.seek(0)
    return copy


def _storage() -> Storage:
    if "blobs" in storages.backends:
        return storages["blobs"]
    return FileSystemStorage(location=Path(settings.DATA_DIR) / "blobs")


def _name(digest: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise InputError(
            f"{digest[:80]!r} is not the digest of a blob.",
            code="blobs.digest",
            remedy="A digest is 64 lower-case hex digits.",
        )
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


def _write_at_once(path: Path, data: bytes) -> None:
    """The file appears complete or not at all, also when the machine stops in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
