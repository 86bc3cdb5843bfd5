from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.files.storage import InMemoryStorage, storages
from django.test import override_settings

from portal.core import blobs
from portal.core.blobs import BlobDamagedError
from portal.core.errors import InputError, NotFoundError

FOLDER = "django.core.files.storage.FileSystemStorage"
MEMORY = "django.core.files.storage.InMemoryStorage"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The storage of the test's own, as a folder."""
    with override_settings(
        STORAGES={"blobs": {"BACKEND": FOLDER, "OPTIONS": {"location": str(tmp_path / "blobs")}}}
    ):
        yield tmp_path / "blobs"


def place(folder: Path, digest: str) -> Path:
    return folder / digest[:2] / digest[2:4] / digest


def test_a_blob_comes_back_by_the_digest_of_its_contents(folder: Path) -> None:
    digest = blobs.put(b"contents")
    assert digest == hashlib.sha256(b"contents").hexdigest()
    assert blobs.exists(digest)
    assert blobs.get(digest) == b"contents"
    with blobs.open_blob(digest) as file:
        assert (file.read(3), file.read()) == (b"con", b"tents")
    assert place(folder, digest).read_bytes() == b"contents"


def test_an_empty_and_a_large_blob_come_back(folder: Path) -> None:
    large = bytes(range(256)) * 40_000
    assert blobs.get(blobs.put(b"")) == b""
    assert blobs.get(blobs.put(large)) == large


def test_the_same_contents_are_stored_once(folder: Path) -> None:
    digest = blobs.put(b"contents")
    before = place(folder, digest).stat().st_mtime_ns
    assert blobs.put(b"contents") == digest
    assert place(folder, digest).stat().st_mtime_ns == before
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 1


def test_what_is_not_there_is_not_found(folder: Path) -> None:
    digest = "0" * 64
    assert not blobs.exists(digest)
    with pytest.raises(NotFoundError, match=digest):
        blobs.get(digest)


def test_a_changed_blob_is_noticed_before_a_byte_of_it_is_used(folder: Path) -> None:
    digest = blobs.put(b"contents")
    place(folder, digest).write_bytes(b"Contents")
    with pytest.raises(BlobDamagedError, match=digest):
        blobs.get(digest)
    with pytest.raises(BlobDamagedError):
        blobs.open_blob(digest)


def test_a_torso_is_mended_by_putting_it_again(folder: Path) -> None:
    digest = blobs.put(b"contents")
    place(folder, digest).write_bytes(b"con")
    blobs.put(b"contents")
    assert blobs.get(digest) == b"contents"


def test_a_write_that_fails_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blobs.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        blobs.put(b"contents")
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_many_may_put_the_same_at_the_same_time(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda _: blobs.put(b"contents" * 1000), range(40)))
    assert blobs.get(digests.pop()) == b"contents" * 1000
    assert not digests
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize(
    "digest", ["", "../../etc/passwd", "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n", "g" * 64]
)
def test_what_is_not_a_digest_is_refused(folder: Path, digest: str) -> None:
    for use in (blobs.get, blobs.exists, blobs.open_blob):
        with pytest.raises(InputError):
            use(digest)


def test_other_storages_work_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    with override_settings(STORAGES={"blobs": {"BACKEND": MEMORY}}):
        digest = blobs.put(b"contents")
        assert blobs.put(b"contents") == digest
        assert blobs.get(digest) == b"contents"
        # Two processes that found nothing there and both save: Django's storages give the second another name.
        monkeypatch.setattr(InMemoryStorage, "exists", lambda self, name: False)
        monkeypatch.setattr(
            InMemoryStorage, "get_available_name", lambda self, name, max_length=None: name + "_x"
        )
        assert blobs.put(b"contents") == digest
        with pytest.raises(FileNotFoundError):
            storages["blobs"].open(f"{digest[:2]}/{digest[2:4]}/{digest}_x")


def test_without_a_storage_of_their_own_blobs_go_below_the_data_folder(tmp_path: Path) -> None:
    with override_settings(STORAGES={}, DATA_DIR=tmp_path):
        digest = blobs.put(b"contents")
        assert blobs.get(digest) == b"contents"
        assert place(tmp_path / "blobs", digest).exists()
