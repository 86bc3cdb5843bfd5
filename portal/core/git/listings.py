"""What git prints about trees and objects, as values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


class MissingObjectError(Exception):
    """The cache lacks what its own lists name."""


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One entry of a commit's tree.

    Attributes:
        path: from the root, with ``/``.
        kind: files can be read; links and submodules are never followed.
        size: bytes, 0 for submodules.
        oid: object id of the contents.
    """

    path: str
    kind: Literal["file", "symlink", "submodule"]
    size: int
    oid: str


def parse_tree(data: bytes) -> Iterator[TreeEntry]:
    kinds: dict[str, Literal["file", "symlink", "submodule"]] = {"120000": "symlink", "160000": "submodule"}
    for line in data.split(b"\0"):
        if not line:
            continue
        head, _, name = line.partition(b"\t")
        mode, _, oid, size = head.decode("ascii").split()
        path = name.decode("utf-8", "replace")
        if not any(part in ("", ".", "..") for part in path.split("/")):  # only a forged tree has such names
            yield TreeEntry(path, kinds.get(mode, "file"), int(size) if size.isdigit() else 0, oid)


def parse_batch(data: bytes) -> dict[str, bytes]:
    """Object id -> contents, from what ``cat-file --batch`` wrote."""
    contents = {}
    position = 0
    while position < len(data):
        end = data.find(b"\n", position)
        oid, kind, size = [*data[position:end].decode("ascii", "replace").split(), "", "", ""][:3]
        if kind != "blob" or not size.isdigit():  # "missing", with status 0
            raise MissingObjectError(f"the object {oid} is {kind}")
        position = end + 1 + int(size) + 1
        contents[oid] = data[end + 1 : position - 1]
    return contents
