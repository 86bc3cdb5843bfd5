"""What came of a file, short enough to be kept: as long as the file is the same, it need not be processed again.

A record has everything that the walk of a reading asks of a file, but not the entities: references, places, where
Locations lead, problems. What an entity says is in the catalog already; its fingerprint is here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson

from catalog.ingest.documents import Outcome
from catalog.ingest.locations import Presence
from catalog.ingest.problems import Problem
from catalog.refs import LocationRef

#: Of a longer one only the references are kept, and its file is processed each time.
LONGEST = 256 * 1024
#: Fields that every document has; the others are left out where they are empty.
_SHORT = 9
_ENGINE = ("catalog/ingest", "catalog/kinds", "portal/core/yaml", "catalog/refs.py")


class DocumentRecord(NamedTuple):
    """One document.

    Attributes:
        number, line: its place in the file.
        valid: whether there is an entity.
        ref: as in :class:`Outcome`.
        name: of a valid entity, as the author wrote it.
        owner: of a valid entity: whom it is owned by; else what the refused document names.
        digest: fingerprint of what a valid entity says; empty where nobody asked for it.
        won: whether this is the declaration of ``ref`` that counted at the last reading.
        mark: fingerprint of its text.
        targets, presence: as in ``Processed``.
        problems: errors or warnings, with their places.
    """

    number: int
    line: int
    valid: bool
    ref: str
    name: str = ""
    owner: str = ""
    digest: str = ""
    won: bool = False
    mark: str = ""
    targets: tuple[LocationRef, ...] = ()
    presence: Presence = "required"
    problems: tuple[Problem, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """As if the document had been processed, but for the entity."""
        owner = "" if self.valid else self.owner
        return Outcome(self.number, self.line, None, self.problems, self.ref, owner)


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file.

    Attributes:
        parent: the Location that led to it first.
        placeholders: files that were read into its documents.
        stands: whether it may stand for the file the next time; else it only says what the file declared.
    """

    parent: str
    documents: tuple[DocumentRecord, ...]
    placeholders: tuple[LocationRef, ...] = ()
    stands: bool = True

    def documents_by_mark(self) -> dict[str, DocumentRecord]:
        """Documents that may stand for the same text elsewhere in a file that changed."""
        if self.placeholders or not self.stands:
            return {}
        return {d.mark: d for d in self.documents if d.valid and d.mark and not d.problems}

    def encode(self) -> str:
        """As text."""
        if self.stands:
            places = [list(place) for place in self.placeholders]
            try:
                text = orjson.dumps([self.parent, True, places, [_row(d) for d in self.documents]]).decode()
            except orjson.JSONEncodeError:
                text = ""  # half a character, quoted in a problem
            if text and len(text) <= LONGEST:
                return text
        declared = [_row(d._replace(problems=(), targets=())) for d in self.documents if d.won]
        return orjson.dumps([self.parent, False, [], declared]).decode()

    @classmethod
    def decode(cls, text: str) -> FileRecord:
        parent, stands, placeholders, rows = orjson.loads(text)
        documents = tuple([_document(row) for row in rows])
        return cls(parent, documents, tuple(LocationRef(*place) for place in placeholders), stands)


def record_of(outcome: Outcome) -> DocumentRecord:
    """What stays of a document that was processed."""
    processed = outcome.processed
    if processed is None:
        return DocumentRecord(
            outcome.index, outcome.line, False, outcome.ref, owner=outcome.owner, problems=outcome.problems
        )
    owned = [target for of, kind, target in processed.relations if kind == "ownedBy" and of == processed.ref]
    return DocumentRecord(
        outcome.index,
        outcome.line,
        True,
        processed.ref,
        processed.name,
        owned[-1] if owned else "",
        targets=processed.targets,
        presence=processed.presence,
        mark=outcome.mark,
        problems=outcome.problems,
    )


def _row(document: DocumentRecord) -> list[Any]:
    row: list[Any] = list(document[:_SHORT])
    if document.targets or document.problems:
        # What a repair looks like has been worked out already: into the corrected line.
        problems = [replace(problem, fix=None) for problem in document.problems]
        row += [[list(target) for target in document.targets], document.presence, problems]
    return row


def _document(row: list[Any]) -> DocumentRecord:
    if len(row) == _SHORT:
        return DocumentRecord(*row)
    targets, presence, problems = row[_SHORT:]
    places = tuple(LocationRef(*target) for target in targets)
    found = tuple(Problem(**problem) for problem in problems)
    document = DocumentRecord(*row[:_SHORT])
    return document._replace(targets=places, presence=cast(Presence, presence), problems=found)


@lru_cache(maxsize=1)
def engine_fingerprint() -> str:
    """Changes with the code that processes files, so that every source is read whole after an upgrade of it."""
    base = Path(__file__).resolve().parent.parent.parent
    digest = hashlib.sha1(usedforsecurity=False)
    for name in _ENGINE:
        path = base / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:8]
