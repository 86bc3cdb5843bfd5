"""Reading a source from its root to the last document; nothing is written here.

Stock drops everything a Location leads to when one thing there is wrong. Here each document stands for itself; only
the Location itself counts as failed then, as stock shows it (catalog format, the processing model).
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from catalog.ingest.collected import Collected, Declared, Rival
from catalog.ingest.problems import Problem, Rejected
from catalog.ingest.process import Processed, Target, process_document
from catalog.ingest.sources import ReadSession
from catalog.kinds import KindRegistry
from catalog.refs import LocationRef, RefError, canonical, parse_ref
from portal.core.errors import CallboardError, NotFoundError
from portal.core.yaml import Document, load_documents

MAX_DEPTH = 32
MAX_FILES = 50_000
Progress = Callable[[int, int, str], None]


class SourceLike(Protocol):
    """What a source row has to say about itself."""

    type: str
    target: str
    branch: str
    pattern: str
    presence: str
    entity_ref: str
    allowed_kinds: list[str]


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """A source as a value.

    Attributes:
        root: what is read.
        name: of the Location entity that stands for it.
        allowed: kinds it may bring, lower case.
    """

    root: LocationRef
    name: str
    optional: bool
    allowed: frozenset[str]
    branch: str = ""
    pattern: str = ""

    @classmethod
    def of(cls, source: SourceLike, registry: KindRegistry) -> SourceDescription:
        kinds = source.allowed_kinds or [k.name for k in registry.kinds.values() if k.default_allowed]
        name = source.entity_ref.rpartition("/")[2]
        root = LocationRef("file" if source.type == "file" else source.type, source.target)
        allowed = frozenset(k.lower() for k in kinds)
        return cls(root, name, source.presence == "optional", allowed, source.branch, source.pattern)

    @classmethod
    def of_target(cls, target: str, registry: KindRegistry) -> SourceDescription:
        """A registration that somebody only asks about."""
        digest = hashlib.sha1(f"url:{target}".encode(), usedforsecurity=False).hexdigest()
        allowed = frozenset(k.name.lower() for k in registry.kinds.values() if k.default_allowed)
        return cls(LocationRef("url", target), f"generated-{digest}", False, allowed)

    @property
    def fingerprint(self) -> str:
        """Changes when the same files would be taken in differently."""
        body = orjson.dumps([*self.root, self.name, self.optional, sorted(self.allowed), self.branch, self.pattern])
        return hashlib.sha1(body, usedforsecurity=False).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class _Visit:
    """A target to read."""

    location: LocationRef
    parent: str
    optional: bool
    depth: int


def collect(
    source: SourceDescription,
    *,
    session: ReadSession,
    registry: KindRegistry,
    progress: Progress = lambda done, total, text: None,
) -> Collected:
    """Read everything below the root of ``source``.

    Errors of single files and documents become problems; only a lost lease or a cancelled job ends it early.
    """
    return _Walk(source, session, registry, progress).run()


class _Walk:
    def __init__(self, source: SourceDescription, session: ReadSession, registry: KindRegistry, progress: Progress) -> None:
        self.source = source
        self.session = session
        self.registry = registry
        self.progress = progress
        self.found = Collected()
        self.origin = LocationRef("file" if source.root.type == "file" else "url", source.root.target)
        self.queue: deque[_Visit] = deque()
        self.refs_of_url: dict[str, list[tuple[str, int, int]]] = {}
        self.location_errors: dict[str, Problem] = {}

    def run(self) -> Collected:
        root_ref = self._root()
        self.queue.append(_Visit(self.source.root, root_ref, self.source.optional, 0))
        while self.queue:
            self._visit(self.queue.popleft())
            total = self.found.files + len(self.queue)
            self.progress(self.found.files, total, "Reading")
        self._settle()
        return self.found

    # --- the Location entity that stands for the registration

    def _root(self) -> str:
        value = {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Location",
            "metadata": {"name": self.source.name, "namespace": "default"},
            "spec": {"type": self.origin.type, "target": self.source.root.target},
        }
        if self.source.optional:
            value["spec"]["presence"] = "optional"  # type: ignore[index]  # a mapping two lines above
        processed = process_document(
            value, location=self.origin, origin=self.origin, registry=self.registry, hosts=self.session.hosts,
            read_placeholder=None,
        )  # fmt: skip
        self._declare(processed, Document(0, 1), self.source.root.target, "", "")
        return processed.ref

    # --- files

    def _visit(self, visit: _Visit) -> None:
        self.session.check()
        try:
            places = self.session.expand(visit.location, branch=self.source.branch, pattern=self.source.pattern)
        except CallboardError as error:
            self._unreadable(visit, visit.location.target, error)
            return
        for place in places:
            if self.found.files >= MAX_FILES:
                problem = Problem("catalog.read.too-many-files", f"More than {MAX_FILES} files; the rest is not read.")
                self.found.problems.append((problem, ""))
                return
            self._read(place, visit)

    def _read(self, place: LocationRef, visit: _Visit) -> None:
        url = place.target
        if url in self.refs_of_url:  # another Location leads to the same file: one more parent, nothing to read
            for ref, document, line in self.refs_of_url[url]:
                self.found.rivals.append(Rival(ref, url, document, line, visit.parent, True))
            return
        try:
            file = self.session.read(place)
        except CallboardError as error:
            self._unreadable(visit, url, error)
            return
        self.found.files += 1
        self.found.read.add(url)
        self.refs_of_url[url] = []
        for document in load_documents(file.data):
            self.found.documents += 1
            if document.error is not None:
                self._broken(document, url, visit)
            elif document.value is not None:
                self._take(document, place, file.commit, visit)

    def _unreadable(self, visit: _Visit, url: str, error: CallboardError) -> None:
        if visit.optional and isinstance(error, NotFoundError):
            return
        problem = Problem(
            rule=f"catalog.read.{error.code.rpartition('.')[2]}", message=error.message, remedy=error.remedy,
            error_name=error.name, url=url, value=visit.location.target,
        )  # fmt: skip
        self.found.unread[url] = error.message
        self.found.unread.setdefault(visit.location.target, error.message)
        if visit.depth == 0:
            self.found.unread[""] = error.message
        self.found.problems.append((problem, visit.parent))
        self.location_errors.setdefault(visit.parent, problem)

    def _broken(self, document: Document, url: str, visit: _Visit) -> None:
        error = document.error
        assert error is not None  # noqa: S101  (the caller has just looked)
        place = error.place
        problem = Problem(
            rule=error.code, message=error.message, remedy=error.remedy, url=url, document=document.index,
            line=place.line if place else document.first_line, column=place.column if place else 1,
            source_line=place.source_line if place else "",
        )  # fmt: skip
        self.found.broken.add(url)
        self.found.read.discard(url)
        self.found.problems.append((problem, visit.parent))
        self.location_errors.setdefault(visit.parent, problem)

    # --- documents

    def _take(self, document: Document, place: LocationRef, commit: str, visit: _Visit) -> None:
        url = place.target
        try:
            processed = process_document(
                document.value, location=place, origin=self.origin, registry=self.registry, hosts=self.session.hosts,
                read_placeholder=lambda base, target: self.session.read_relative(base, target).data,
            )  # fmt: skip
        except Rejected as rejected:
            self._refuse(document, url, visit, rejected.ref, rejected.problems)
            return
        if processed.kind.lower() not in self.source.allowed:
            self._refuse(document, url, visit, "", [_not_allowed(processed)])
            return
        for problem in processed.warnings:
            self.found.problems.append((problem.located(document, url), processed.ref))
        if not self._is_first(processed, document, url, visit):
            return
        self._declare(processed, document, url, commit, visit.parent)
        for target in processed.targets:
            self._follow(target, processed.ref, visit)

    def _refuse(self, document: Document, url: str, visit: _Visit, ref: str, problems: Iterable[Problem]) -> None:
        located = [problem.located(document, url) for problem in problems]
        self.found.problems += [(problem, ref) for problem in located]
        if ref:
            self.found.failed.setdefault(ref, located[0])
            owner = _owner_hint(document.value)
            if owner:
                self.found.owner_hints[ref] = owner
        else:
            self.found.broken.add(url)
            self.found.read.discard(url)
            self.location_errors.setdefault(visit.parent, located[0])

    def _is_first(self, processed: Processed, document: Document, url: str, visit: _Visit) -> bool:
        """Within one file the last document wins, between files the first (catalog format, conflict)."""
        earlier = self.found.declared.get(processed.ref)
        if earlier is None:
            return True
        if earlier.url == url:
            rival = Rival(processed.ref, url, earlier.document, earlier.line, earlier.parent_ref, True)
            self.found.rivals.append(rival)
            message = f"{processed.ref} stands in this file twice; the last document counts."
            remedy = "Remove one of the two documents."
            place, wins = (url, earlier.document, earlier.line), True
        else:
            rival = Rival(processed.ref, url, document.index, document.first_line, visit.parent, False)
            self.found.rivals.append(rival)
            message = f"{processed.ref} is declared by {earlier.url} already, which keeps it."
            remedy = "Rename one of the two, or remove this document."
            place, wins = (url, document.index, document.first_line), False
        problem = Problem(
            rule="catalog.conflict", message=message, remedy=remedy, path="/metadata/name", value=processed.name,
            error_name="ConflictError", severity="warning", url=place[0], document=place[1], line=place[2],
        )  # fmt: skip
        self.found.problems.append((problem, processed.ref))
        return wins

    def _declare(self, processed: Processed, document: Document, url: str, commit: str, parent: str) -> None:
        self.found.declared[processed.ref] = Declared(
            ref=processed.ref, kind=processed.kind, namespace=processed.namespace, name=processed.name,
            entity=processed.entity, relations=tuple(processed.relations), url=url, document=document.index,
            line=document.first_line, commit=commit, parent_ref=parent,
        )  # fmt: skip
        if url in self.refs_of_url:
            self.refs_of_url[url].append((processed.ref, document.index, document.first_line))

    def _follow(self, target: Target, parent: str, visit: _Visit) -> None:
        if visit.depth >= MAX_DEPTH:
            problem = Problem(
                "catalog.read.too-deep", f"{parent} is {MAX_DEPTH} Locations deep; its targets are not read.",
                url=target.location.target, remedy="Let a Location nearer to the root name these files.",
            )  # fmt: skip
            self.found.problems.append((problem, parent))
            self.location_errors.setdefault(parent, problem)
            return
        self.queue.append(_Visit(target.location, parent, target.optional, visit.depth + 1))

    # --- the end

    def _settle(self) -> None:
        """A refused document keeps the last good version, unless another document declares the entity well.

        A Location whose reading had an error counts as failed: new, it does not appear; known, it keeps its last good
        version and shows the error.
        """
        found = self.found
        found.failed = {ref: problem for ref, problem in found.failed.items() if ref not in found.declared}
        found.invalid = set(found.failed)
        for ref, problem in self.location_errors.items():
            if found.declared.pop(ref, None) is not None:
                found.failed[ref] = problem


def _not_allowed(processed: Processed) -> Problem:
    return Problem(
        rule="catalog.kind.not-allowed", message=f"This source may not bring entities of kind {processed.kind}.",
        path="/kind", value=processed.kind, error_name="NotAllowedError",
        remedy="Ask a platform admin to allow the kind for this source.",
    )  # fmt: skip


def _owner_hint(value: Any) -> str:
    """The owner that a refused document names, so that its problem reaches somebody."""
    spec = value.get("spec") if isinstance(value, dict) else None
    owner = spec.get("owner") if isinstance(spec, dict) else None
    metadata = value.get("metadata") if isinstance(value, dict) else None
    namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
    try:
        ref = parse_ref(owner, default_kind="Group", default_namespace=namespace if isinstance(namespace, str) else "default")
    except RefError:
        return ""
    return canonical(*ref)


def check_entity(entity: dict[str, Any], place: LocationRef, *, session: ReadSession, registry: KindRegistry) -> list[Problem]:
    """Everything that is wrong with one entity; the targets of a Location are read as well.

    Raises:
        Rejected: with all problems.
    """
    processed = process_document(
        entity, location=place, origin=place, registry=registry, hosts=session.hosts,
        read_placeholder=lambda base, target: session.read_relative(base, target).data,
    )  # fmt: skip
    problems = list(processed.warnings)
    for target in processed.targets:
        try:
            for location in session.expand(target.location):
                session.read(location)
        except CallboardError as error:
            if not (target.optional and isinstance(error, NotFoundError)):
                problems.append(
                    Problem(rule=error.code, message=error.message, remedy=error.remedy, error_name=error.name, path="/spec")
                )
    return problems
