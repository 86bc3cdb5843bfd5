"""Reading a source from its root to the last document; nothing is written here.

Stock drops everything a Location leads to when one thing there is wrong. Here each document stands for itself; only
the Location itself counts as failed then, as stock shows it (catalog format, the processing model).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from catalog.ingest.attributes import flatten
from catalog.ingest.collected import Collected, Declared, Rival
from catalog.ingest.documents import Outcome, named_owner, process_file
from catalog.ingest.locations import generated_name, location_entity
from catalog.ingest.outages import is_outage
from catalog.ingest.problems import Problem, Rejected
from catalog.ingest.process import Processed, process_document
from catalog.ingest.relations import Relation
from catalog.ingest.rules import AllowRules
from catalog.ingest.sources import ReadSession
from catalog.kinds import KindRegistry
from catalog.refs import LocationRef
from portal.core.errors import CallboardError, NotFoundError

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
        rules: what it may bring.
    """

    root: LocationRef
    name: str
    optional: bool
    rules: AllowRules
    branch: str = ""
    pattern: str = ""

    @classmethod
    def of(
        cls, source: SourceLike, registry: KindRegistry, *, rules: AllowRules | None = None
    ) -> SourceDescription:
        """A source as its row says.

        Args:
            rules: count where the row has no kinds of its own; without them the default kinds do.
        """
        if source.allowed_kinds:
            rules = AllowRules.of_kinds(source.allowed_kinds)
        name = source.entity_ref.rpartition("/")[2]
        root = LocationRef("file" if source.type == "file" else source.type, source.target)
        rules = rules or AllowRules.default(registry)
        return cls(root, name, source.presence == "optional", rules, source.branch, source.pattern)

    @classmethod
    def of_target(
        cls, target: str, registry: KindRegistry, *, rules: AllowRules | None = None
    ) -> SourceDescription:
        """A registration that somebody only asks about."""
        root = LocationRef("url", target)
        return cls(root, generated_name(root), False, rules or AllowRules.default(registry))

    @property
    def fingerprint(self) -> str:
        """Changes when the same files would be taken in differently."""
        body = orjson.dumps(
            [*self.root, self.name, self.optional, self.rules.as_json(), self.branch, self.pattern]
        )
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
    def __init__(
        self, source: SourceDescription, session: ReadSession, registry: KindRegistry, progress: Progress
    ) -> None:
        self.source = source
        self.session = session
        self.registry = registry
        self.progress = progress
        self.found = Collected()
        self.origin = LocationRef("file" if source.root.type == "file" else "url", source.root.target)
        self.queue: deque[_Visit] = deque()
        self.documents_of: dict[str, list[tuple[str, int, int]]] = {}
        self.location_errors: dict[str, Problem] = {}
        self.hidden_relations: dict[str, list[Relation]] = defaultdict(list)

    def run(self) -> Collected:
        try:
            root = self._root()
        except Rejected as rejected:  # Locations are switched off, or the target can be none
            problems = [replace(problem, url=self.source.root.target) for problem in rejected.problems]
            self.found.problems += [(problem, "") for problem in problems]
            self.found.unread[""] = problems[0].message
            return self.found
        self.queue.append(_Visit(self.source.root, root, self.source.optional, 0))
        while self.queue:
            self._visit(self.queue.popleft())
            self.progress(self.found.files, self.found.files + len(self.queue), "Reading")
        self._settle()
        return self.found

    def _root(self) -> str:
        """The Location entity that stands for the registration."""
        value = location_entity(self.origin)
        value["metadata"]["name"] = self.source.name
        processed = process_document(
            value,
            location=self.origin,
            origin=self.origin,
            registry=self.registry,
            hosts=self.session.hosts,
            read_placeholder=self._placeholder,
        )
        self._declare(Outcome(0, 1, processed), processed, self.source.root.target, "", "")
        return processed.ref

    def _placeholder(self, place: LocationRef) -> bytes:
        return self.session.read(place).data

    # --- files

    def _visit(self, visit: _Visit) -> None:
        first = visit.depth == 0
        try:
            places = self.session.expand(
                visit.location,
                branch=self.source.branch if first else "",
                pattern=self.source.pattern if first else "",
            )
        except CallboardError as error:
            self._unreadable(visit, visit.location.target, error)
            return
        if not places and not visit.optional:
            message = f"No file matches below {visit.location.target}."
            remedy = "Check the pattern; without one the usual names of descriptors are looked for."
            problem = Problem(
                "catalog.read.no-match", message, severity="warning", remedy=remedy, url=visit.location.target
            )
            self.found.problems.append((problem, visit.parent))
        for place in places:
            if self.found.files >= MAX_FILES:
                message = f"There are more than {MAX_FILES} files; the rest is not read."
                self._location_error(
                    visit.parent, Problem("catalog.read.too-many-files", message, url=place.target)
                )
                return
            self._read(place, visit)

    def _read(self, place: LocationRef, visit: _Visit) -> None:
        url = place.target
        if (
            url in self.documents_of
        ):  # another Location leads to the same file: one more parent, nothing to read
            for ref, document, line in self.documents_of[url]:
                self.found.rivals.append(Rival(ref, url, document, line, visit.parent, True))
            return
        try:
            file = self.session.read(place)
        except CallboardError as error:
            self._unreadable(visit, url, error)
            return
        self.found.files += 1
        self.found.read.add(url)
        self.documents_of[url] = []
        outcomes = process_file(
            file.data,
            location=place,
            origin=self.origin,
            registry=self.registry,
            hosts=self.session.hosts,
            read_placeholder=self._placeholder,
            rules=self.source.rules,
        )
        for outcome in outcomes:
            self.found.documents += 1
            self._take(outcome, url, file.commit, visit)

    def _unreadable(self, visit: _Visit, url: str, error: CallboardError) -> None:
        if visit.optional and isinstance(error, NotFoundError):
            return
        problem = Problem(
            rule=f"catalog.read.{error.code.rpartition('.')[2]}",
            message=error.message,
            remedy=error.remedy,
            error_name=error.name,
            url=url,
            value=visit.location.target,
        )
        self.found.outage = self.found.outage or (visit.depth == 0 and is_outage(error))
        self.found.unread[url] = error.message
        self.found.unread.setdefault(visit.location.target, error.message)
        self._location_error(visit.parent, problem)

    def _location_error(self, ref: str, problem: Problem) -> None:
        self.found.problems.append((problem, ref))
        self.location_errors.setdefault(ref, problem)

    # --- documents

    def _take(self, outcome: Outcome, url: str, commit: str, visit: _Visit) -> None:
        processed = outcome.processed
        if processed is None:
            self._refuse(outcome, url, visit)
            return
        if _may_clash(processed.entity):
            try:
                flatten(processed.entity)
            except Rejected as rejected:
                problems = tuple(
                    replace(p, url=url, document=outcome.index, line=outcome.line) for p in rejected.problems
                )
                # Stock cannot show such an entity, but others show their relations with it: its Location holds them.
                self.hidden_relations[visit.parent] += processed.relations
                owner = named_owner(processed.entity)
                self._refuse(replace(outcome, processed=None, problems=problems, owner=owner), url, visit)
                return
        self.found.problems += [(problem, processed.ref) for problem in outcome.problems]
        if not self._outranks(outcome, processed, url, visit):
            return
        self._declare(outcome, processed, url, commit, visit.parent)
        for target in processed.targets:
            if visit.depth >= MAX_DEPTH:
                message = f"{processed.ref} is {MAX_DEPTH} Locations deep; its targets are not read."
                self._location_error(
                    processed.ref, Problem("catalog.read.too-deep", message, url=url, line=outcome.line)
                )
                return
            self.queue.append(
                _Visit(target, processed.ref, processed.presence == "optional", visit.depth + 1)
            )

    def _refuse(self, outcome: Outcome, url: str, visit: _Visit) -> None:
        rules = {problem.rule for problem in outcome.problems}
        # What nobody knows, or what may not stand in such a file at all, need not also be called not allowed.
        said_better = rules & {"catalog.kind.unknown", "catalog.location.type"}
        problems = [p for p in outcome.problems if p.rule != "catalog.kind.not-allowed" or not said_better]
        self.found.problems += [(problem, outcome.ref) for problem in problems]
        if outcome.owner:
            self.found.owners[url, outcome.index] = outcome.owner
        first = problems[0]
        if outcome.ref and ("catalog.kind.not-allowed" not in rules or "catalog.location.type" in rules):
            self.found.failed.setdefault(outcome.ref, first)
            return
        if outcome.ref and "catalog.kind.unknown" in rules:  # switched off, perhaps: nothing of the kind goes
            self.found.failed.setdefault(outcome.ref, first)
        # Nobody knows which entity this was, so what the file declared before is left alone.
        if not outcome.ref:
            self.found.broken.add(url)
            self.found.read.discard(url)
        self.location_errors.setdefault(visit.parent, first)

    def _outranks(self, outcome: Outcome, processed: Processed, url: str, visit: _Visit) -> bool:
        """Whether this declaration counts: in one file the last does, between files the first (conflict)."""
        earlier = self.found.declared.get(processed.ref)
        if earlier is None:
            return True
        if earlier.url == url:
            rival = Rival(processed.ref, url, earlier.document, earlier.line, earlier.parent_ref, True)
            message = f"{processed.ref} stands in this file twice; the last document counts."
            remedy = "Remove one of the two documents."
        else:
            rival = Rival(processed.ref, url, outcome.index, outcome.line, visit.parent, False)
            message = f"{processed.ref} is declared by {earlier.url} already, which keeps it."
            remedy = "Rename one of the two, or remove this document."
        self.found.rivals.append(rival)
        problem = Problem(
            rule="catalog.conflict",
            message=message,
            remedy=remedy,
            path="/metadata/name",
            value=processed.name,
            error_name="ConflictError",
            severity="warning",
            url=url,
            document=rival.document,
            line=rival.line,
        )
        self.found.problems.append((problem, processed.ref))
        return rival.same_file

    def _declare(self, outcome: Outcome, processed: Processed, url: str, commit: str, parent: str) -> None:
        self.found.declared[processed.ref] = Declared(
            ref=processed.ref,
            kind=processed.kind,
            namespace=processed.namespace,
            name=processed.name,
            entity=processed.entity,
            relations=processed.relations,
            url=url,
            document=outcome.index,
            line=outcome.line,
            commit=commit,
            parent_ref=parent,
        )
        if url in self.documents_of:
            self.documents_of[url].append((processed.ref, outcome.index, outcome.line))

    def _settle(self) -> None:
        """A refused document keeps the last good version, unless another document declares the entity well.

        A Location whose reading had an error counts as failed: new, it does not appear; known, it keeps its last good
        version and shows the error.
        """
        found = self.found
        if (
            not found.files and found.unread
        ):  # one file of many that cannot be read says nothing about the others
            found.unread[""] = next(iter(found.unread.values()))
        found.failed = {ref: problem for ref, problem in found.failed.items() if ref not in found.declared}
        found.invalid = set(found.failed)
        for ref, problem in self.location_errors.items():
            if found.declared.pop(ref, None) is not None:
                found.failed[ref] = problem
        for ref, relations in self.hidden_relations.items():
            if ref in found.declared:
                declared = found.declared[ref]
                found.declared[ref] = replace(declared, relations=(*declared.relations, *relations))


def _may_clash(entity: dict[str, Any]) -> bool:
    """Whether two keys could differ only in letter case: a cheap look before the exact one."""
    words: set[str] = set()
    stack: list[Any] = [entity]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            words.update(value)
            stack.extend(v for v in value.values() if isinstance(v, dict | list))
        else:
            for item in value:
                if isinstance(item, str):
                    words.add(item)
                elif isinstance(item, dict | list):
                    stack.append(item)
    return len({word.lower() for word in words}) < len(words)


def check_entity(
    entity: dict[str, Any], place: LocationRef, *, session: ReadSession, registry: KindRegistry
) -> list[Problem]:
    """Everything that is wrong with one entity; the targets of a Location are read as well.

    Raises:
        Rejected: with all problems.
    """
    processed = process_document(
        entity,
        location=place,
        origin=place,
        registry=registry,
        hosts=session.hosts,
        read_placeholder=lambda named: session.read(named).data,
    )
    problems = list(processed.warnings)
    for target in processed.targets:
        try:
            for location in session.expand(target):
                session.read(location)
        except CallboardError as error:
            if not (processed.presence == "optional" and isinstance(error, NotFoundError)):
                problems.append(
                    Problem(
                        rule=error.code,
                        message=error.message,
                        remedy=error.remedy,
                        error_name=error.name,
                        path="/spec",
                    )
                )
    return problems
