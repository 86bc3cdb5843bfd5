"""The files of a folder that descriptors may name, for a question about them."""

from __future__ import annotations

import os
from pathlib import Path

from portal.core.errors import NotFoundError

#: Endings of descriptors, and of what they name by ``$text``, ``$json`` and ``$yaml``.
ENDINGS = (
    ".yaml", ".yml", ".json", ".md", ".txt", ".graphql", ".gql", ".proto", ".raml", ".wsdl", ".xsd", ".avsc",
)  # fmt: skip
SKIPPED = frozenset({"node_modules", "__pycache__", "venv"})
LARGEST = 1024 * 1024


def files_below(folder: Path) -> list[tuple[str, bytes]]:
    """Paths and contents, sorted; links, hidden folders and files of more than 1 MiB are left out.

    Raises:
        NotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise NotFoundError(
            f"{folder} is no folder.",
            code="catalog.preview.folder",
            remedy="Name the folder of a working tree.",
        )
    found = []
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        for name in sorted(names):
            file = Path(path) / name
            if name.lower().endswith(ENDINGS) and not file.is_symlink() and file.stat().st_size <= LARGEST:
                found.append((file.relative_to(folder).as_posix(), file.read_bytes()))
    return found
