"""Files, folders and patterns on this machine, below the roots that settings name and nowhere else."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from catalog.ingest.sources.base import (
    DEFAULT_PATTERN,
    MAX_VERSION,
    File,
    Limits,
    UnreadableError,
    fixed_folder,
    is_pattern,
    is_skipped,
    matcher,
)
from catalog.refs import LocationRef
from portal.core.errors import InputError, NotAllowedError, NotFoundError, TooLargeError

#: Folders below the start of a search; deeper ones are left out.
MAX_DEPTH = 40
_LISTING = "list:"


class FilesReader:
    """Reads ``file`` locations.

    Args:
        roots: the folders that may be read; links are followed only where they end below one of them.
        limits: what may be spent.
    """

    def __init__(self, roots: Sequence[Path], limits: Limits) -> None:
        self._roots = [Path(os.path.normpath(root.absolute())) for root in roots]
        self._real_roots = [os.path.realpath(root).rstrip("/") + "/" for root in roots]
        self._limits = limits
        self._real_folders: dict[str, str] = {}
        self.listings: dict[str, str] = {}

    def expand(self, location: LocationRef, *, branch: str, pattern: str) -> list[LocationRef]:
        target = self._absolute(location.target)
        if is_pattern(target):
            start = fixed_folder(target) or "/"
            pattern = target[len(start) :].lstrip("/")
        else:
            path = self._inside(target)
            if not os.path.lexists(path):
                raise _not_found(location.target)
            if not Path(path).is_dir():
                return [LocationRef("file", target)]
            start, pattern = target, pattern or DEFAULT_PATTERN
        found = sorted(self._walk(start, pattern))
        digest = hashlib.sha256("\0".join(found).encode()).hexdigest()[:32]
        version = f"{_LISTING}{digest}:{pattern}"
        # Without its pattern a list cannot be made again for comparison, so it counts as changed then.
        self.listings[location.target] = version if len(version) <= MAX_VERSION else f"long:{digest}"
        return [LocationRef("file", path) for path in found]

    def read(self, location: LocationRef) -> File:
        target = self._absolute(location.target)
        path = self._inside(target)
        try:
            # Not following a link that appeared after the check, and not waiting for a pipe.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise _not_found(location.target) from None
        except OSError as error:
            raise _unreadable(location.target, error) from None
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise InputError(
                    f"{location.target} is not a file.",
                    code="catalog.source.not-a-file",
                    remedy="Name a file, a folder or a pattern.",
                )
            with os.fdopen(handle, "rb", closefd=False) as file:
                data = file.read(self._limits.file_bytes + 1)
        except OSError as error:
            raise _unreadable(location.target, error) from None
        finally:
            os.close(handle)
        if len(data) > self._limits.file_bytes:
            raise TooLargeError(
                f"{location.target} has more than {self._limits.file_bytes} bytes.",
                code="catalog.source.too-large",
                remedy="Make the file smaller, or raise CALLBOARD_MAX_FILE_BYTES.",
            )
        return File(target, data, _version(status), "", hashlib.sha256(data).hexdigest())

    def version(self, location: LocationRef, known: str) -> str:
        if known.startswith(_LISTING):
            self.expand(location, branch="", pattern=known.split(":", 2)[2])
            return self.listings.pop(location.target, "")
        path = self._inside(self._absolute(location.target))
        try:
            return _version(os.lstat(path))
        except (FileNotFoundError, NotADirectoryError):
            raise _not_found(location.target) from None
        except OSError as error:
            raise _unreadable(location.target, error) from None

    def mark(self, location: LocationRef) -> str:
        return ""

    def group(self, location: LocationRef) -> str:
        return ""

    def folder_of(self, target: str) -> str:
        """The folder from which the paths of a source are seen: itself, that of a file, or the fixed part of a pattern.

        Raises:
            NotAllowedError: it may not be read.
        """
        path = self._absolute(target)
        if is_pattern(path):
            return fixed_folder(path) or "/"
        return path if Path(self._inside(path)).is_dir() else path.rpartition("/")[0] or "/"

    def _absolute(self, target: str) -> str:
        """A target as an absolute path without ``.`` and ``..``; a relative one starts at the first root that has it.

        Raises:
            NotAllowedError: no roots are set.
            InputError: no path.
        """
        if target.startswith("file://"):
            target = unquote(target[7:])
        if "\0" in target or not target:
            raise InputError(
                "A path cannot be empty or hold a zero byte.",
                code="catalog.source.path",
                remedy="Correct the path.",
            )
        if not self._roots:
            raise _not_allowed(target)
        if target.startswith("/"):
            return os.path.normpath(target)
        candidates = [os.path.normpath(root / target) for root in self._roots]
        return next((path for path in candidates if Path(fixed_folder(path) or path).exists()), candidates[0])

    def _inside(self, target: str) -> str:
        """The real path behind a target.

        Raises:
            NotAllowedError: it is, or a link leads, outside of the roots.
        """
        folder, _, name = target.rpartition("/")
        if folder not in self._real_folders:  # most files share theirs with others
            self._real_folders[folder] = os.path.realpath(folder or "/")
        path = f"{self._real_folders[folder].rstrip('/')}/{name}"
        if Path(path).is_symlink():
            path = os.path.realpath(path)
        if not f"{path}/".startswith(tuple(self._real_roots)):
            raise _not_allowed(target)
        return path

    def _walk(self, start: str, pattern: str) -> Iterator[str]:
        """The paths below ``start`` that match; folders that are links are not entered.

        Files that are links match too: reading one that leads outside says so, where leaving it out would say nothing.
        """
        real = self._inside(start)
        if not Path(real).is_dir():
            raise _not_found(start)
        matches = matcher(pattern)
        for folder, folders, names in os.walk(real, onerror=_walk_failed):
            prefix = f"{folder[len(real) :].strip('/')}/".lstrip("/")
            if prefix.count("/") >= MAX_DEPTH:
                folders.clear()
            folders[:] = [name for name in folders if not is_skipped(f"{name}/x")]
            for name in names:
                if _is_text(name) and matches(prefix + name):
                    yield f"{start.rstrip('/')}/{prefix}{name}"


def _is_text(name: str) -> bool:
    """Names in another encoding than UTF-8 can be neither shown nor stored."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _version(status: os.stat_result) -> str:
    return f"stat:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_size}:{status.st_ino}"


def _walk_failed(error: OSError) -> None:
    """A folder that cannot be listed must not look like an empty one."""
    raise _unreadable(error.filename or "A folder", error)


def _not_found(target: str) -> NotFoundError:
    return NotFoundError(
        f"There is no file or folder {target}.", code="catalog.source.not-found", remedy="Check the path."
    )


def _not_allowed(target: str) -> NotAllowedError:
    return NotAllowedError(
        f"{target} is not below a folder that may be read: none of CALLBOARD_FILE_ROOTS holds it.",
        code="catalog.source.file-root",
        remedy="Add its folder to CALLBOARD_FILE_ROOTS of every process, workers too, and start them again.",
    )


def _unreadable(target: str, error: Exception) -> UnreadableError:
    reason = getattr(error, "strerror", None) or str(error)
    return UnreadableError(
        f"{target} cannot be read: {reason.lower()}.",
        remedy="Check its permissions for the processes of Callboard.",
    )
