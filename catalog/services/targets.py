"""What people write as the target of a source, in the form in which it is stored."""

from __future__ import annotations

import os
from pathlib import Path

from catalog.models import Source


def guess_type(target: str) -> str:
    """What a target most likely is: an address ending in .git or over ssh is a repository, a path is a file.

    One that ends in /api/catalog is that of another instance.
    """
    if target.startswith(("http://", "https://")) and target.rstrip("/").endswith("/api/catalog"):
        return Source.Type.REMOTE
    if target.startswith(("http://", "https://")) and not target.rstrip("/").endswith(".git"):
        return Source.Type.URL
    if target.startswith(("http://", "https://", "ssh://", "git@", "file://")) or target.endswith(".git"):
        return Source.Type.GIT
    return Source.Type.FILE


def absolute_target(type: str, target: str, *, folder: Path) -> str:
    """A path as seen from ``folder``; for a local repository as an address. What is an address stays as it is."""
    if type == Source.Type.FILE:
        return str(_absolute(target, folder))
    if type == Source.Type.GIT and "://" not in target and not target.startswith("git@"):
        return _absolute(target, folder).as_uri()
    return target.rstrip("/") if type == Source.Type.REMOTE else target


def _absolute(target: str, folder: Path) -> Path:
    return Path(os.path.normpath(folder.absolute() / Path(target).expanduser()))
