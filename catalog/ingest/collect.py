"""Reading a source from its root to the last document; nothing is written here.

Stock drops everything a Location leads to when one thing there is wrong. Here each document stands for itself; only
the Location itself counts as failed then, as stock shows it (catalog format, the processing model).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from catalog.ingest.attributes import flatten
from catalog.ingest.collected import Collected, Declared, Rival
from catalog.ingest.description import SourceDescription
from catalog.ingest.documents import Outcome, named_owner, process_file
from catalog.ingest.locations import location_entity
from catalog.ingest.outages import is_outage
from catalog.ingest.problems import Problem, Rejected
from catalog.ingest.process import Processed, process_document
from catalog.ingest.records import DocumentRecord, FileRecord, record_of
from catalog.ingest.relations import Relation
from catalog.ingest.sources import ReadSession
from catalog.kinds import KindRegistry
from catalog.refs import LocationRef
from portal.core.errors import CallboardError, NotFoundError, ServiceUnavailableError

MAX_DEPTH = 32
MAX_FILES = 50_000
Progress = Callable[[int, int, str], None]


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
    earlier: Mapping[str, FileRecord] | None = None,
) -> Collected:
    """Read everything below the root of ``source``.

    Errors of single files and documents become problems; only a lost lease or a cancelled job ends it early.

    Args:
        earlier: what came of the files at the last reading, made under the same rules, kinds and hosts. Files that are
            what they were (and whose placeholders are) are then carried over, and neither read nor processed.
    """
    walk = _Walk(source, session, registry, progress, earlier)
    found = walk.run()
    if walk.hidden_relations:
        # Relations of an entity that is not shown stand with its Location, whose record says nothing of them.
        found = found if earlier is None else _Walk(source, session, registry, progress, None).run()
        found.again = True
    return found


class _Walk:
    def __init__(
        self,
        source: SourceDescription,
        session: ReadSession,
        registry: KindRegistry,
        progress: Progress,
        earlier: Mapping[str, FileRecord] | None,
    ) -> None:
        self.earlier = earlier or {}
        self.source = source
        self.session = session
        self.registry = registry
        self.progress = progress
        self.found = Collected(partial=earlier is not None, thaw=self.thaw)
        self.places: dict[
            str, tuple[LocationRef, str]
        ] = {}  # of files with carried documents, and their digests
        self.whole: set[str] = set()  # files that are what they were
        self.named: dict[
            LocationRef, bool
        ] = {}  # placeholders of the file that is processed -> could be read
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
        self.session.trust(self.earlier)
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
        self.named[place] = False
        data = self.session.read(place).data
        self.named[place] = True
        return data

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
        record, commit, digest = self._carried(place)
        data = b""
        if record is None:
            try:
                file = self.session.read(place)
            except CallboardError as error:
                self._unreadable(visit, url, error)
                return
            data, commit, digest = file.data, file.commit, file.digest
            record = self._same(url, digest)
        self.found.files += 1
        self.found.read.add(url)
        self.documents_of[url] = []
        if record is not None:
            self.places[url] = (place, digest)
            self.whole.add(url)
            self.found.records[url] = replace(record, parent=visit.parent)
            self.found.documents += len(record.documents)
            for known in record.documents:
                if (
                    known.valid
                    and not known.problems
                    and not known.targets
                    and not self.found.declares(known.ref)
                ):
                    self._carry(known, url, commit, visit.parent)  # as most are: nothing else follows from it
                    continue
                self._take(known.outcome, url, commit, visit, known if known.valid else None)
            return
        kept: list[DocumentRecord] = []
        earlier = self.earlier[url].documents_by_mark() if url in self.earlier else {}
        for outcome in self._process(place, data, earlier):
            self.found.documents += 1
            if outcome.skipped:
                self.places[url] = (place, digest)
                known = earlier[outcome.mark]._replace(number=outcome.index, line=outcome.line)
                self._take(known.outcome, url, commit, visit, known)
            else:
                known = record_of(outcome)
                self._take(outcome, url, commit, visit)
            kept.append(known)
        # Where a placeholder leads to nothing, nobody would notice that there is something later.
        whole = all(self.named.values())
        self.found.records[url] = FileRecord(visit.parent, tuple(kept), tuple(self.named), whole)

    def _process(self, place: LocationRef, data: bytes, skip: Collection[str] = ()) -> Iterator[Outcome]:
        self.named = {}
        return process_file(
            data,
            location=place,
            origin=self.origin,
            registry=self.registry,
            hosts=self.session.hosts,
            read_placeholder=self._placeholder,
            rules=self.source.rules,
            skip=skip,
        )

    # --- files that are what they were

    def _carried(self, place: LocationRef) -> tuple[FileRecord | None, str, str]:
        """What came of a file that is what it was, its commit and its digest."""
        record = self.earlier.get(place.target)
        if (
            record is None
            or not record.stands
            or not self.session.unchanged(place)
            or not self._placeholders_hold(record)
        ):
            return None, "", ""
        known = self.session.known(place.target)
        return record, known.commit if known is not None else "", known.digest if known is not None else ""

    def _same(self, url: str, digest: str) -> FileRecord | None:
        """What came of a file that had to be read to see that it is what it was."""
        record, known = self.earlier.get(url), self.session.known(url)
        if record is None or known is None or not record.stands or known.digest != digest:
            return None
        return record if self._placeholders_hold(record) else None

    def _placeholders_hold(self, record: FileRecord) -> bool:
        return all(self.session.unchanged(named) for named in record.placeholders)

    def thaw(self, refs: Iterable[str]) -> None:
        """Process the files of carried entities after all.

        Raises:
            ServiceUnavailableError: such a file has changed since it was looked at.
        """
        by_url: dict[str, dict[int, str]] = defaultdict(dict)
        for ref in refs:
            by_url[self.found.carried[ref].url][self.found.carried[ref].document] = ref
        for url, wanted in by_url.items():
            place, digest = self.places[url]
            file = self.session.read(place)
            if file.digest != digest:
                raise _moved(url)
            for outcome in self._process(place, file.data):
                if outcome.processed is not None and outcome.processed.ref == wanted.get(outcome.index):
                    ref = wanted.pop(outcome.index)
                    light = self.found.carried.pop(ref)
                    entity, relations = outcome.processed.entity, outcome.processed.relations
                    self.found.declared[ref] = replace(light, entity=entity, relations=relations)
                    self.found.hashes.pop(ref, None)
            if wanted:
                raise _moved(url)

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

    def _take(
        self,
        outcome: Outcome,
        url: str,
        commit: str,
        visit: _Visit,
        carried: DocumentRecord | None = None,
    ) -> None:
        processed = carried or outcome.processed
        if processed is None:
            self._refuse(outcome, url, visit)
            return
        if isinstance(processed, Processed) and _may_clash(processed.entity):
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

    def _outranks(
        self, outcome: Outcome, processed: Processed | DocumentRecord, url: str, visit: _Visit
    ) -> bool:
        """Whether this declaration counts: in one file the last does, between files the first (conflict)."""
        earlier = self.found.declared.get(processed.ref) or self.found.carried.get(processed.ref)
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

    def _declare(
        self, outcome: Outcome, processed: Processed | DocumentRecord, url: str, commit: str, parent: str
    ) -> None:
        if isinstance(processed, DocumentRecord):
            self._carry(processed, url, commit, parent)
            return
        ref = processed.ref
        self.found.declared[ref] = Declared(
            ref=ref,
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
        self.found.carried.pop(ref, None)
        if url in self.documents_of:
            self.documents_of[url].append((ref, outcome.index, outcome.line))

    def _carry(self, known: DocumentRecord, url: str, commit: str, parent: str) -> None:
        found, ref = self.found, known.ref
        place = (known.number, known.line, commit, parent)
        found.carried[ref] = Declared(ref, "", "", known.name, {}, (), url, *place)
        found.declared.pop(ref, None)
        found.carried_owners[ref] = known.owner
        if known.digest:
            found.hashes[ref] = known.digest
        else:
            found.hashes.pop(ref, None)
        self.documents_of[url].append((ref, known.number, known.line))

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
        found.failed = {ref: problem for ref, problem in found.failed.items() if not found.declares(ref)}
        found.invalid = set(found.failed)
        for ref, problem in self.location_errors.items():
            if found.declared.pop(ref, None) or found.carried.pop(ref, None):
                found.failed[ref] = problem
        for ref, relations in self.hidden_relations.items():
            if ref in found.declared:
                declared = found.declared[ref]
                found.declared[ref] = replace(declared, relations=(*declared.relations, *relations))
        self._note_winners()

    def _note_winners(self) -> None:
        """Say in the records which declarations count, and find those for which that is not what it was."""
        found = self.found
        for url, record in found.records.items():
            won = [d.valid and self._counts(d, url) for d in record.documents]
            earlier = self.earlier.get(url) if url in self.whole else None
            if earlier is not None and earlier.parent == record.parent:
                changed = [d for d, now in zip(record.documents, won, strict=True) if d.won != now]
                found.touched.update(d.ref for d in changed)
                if not changed:
                    found.records[url] = earlier
                    continue
            elif url in self.places:
                found.touched.update(d.ref for d in record.documents if d.valid)
            documents = (d._replace(won=now) for d, now in zip(record.documents, won, strict=True))
            found.records[url] = replace(record, documents=tuple(documents))
        for url, record in self.earlier.items():
            if url not in self.whole:
                found.touched.update(d.ref for d in record.documents if d.won)

    def _counts(self, document: DocumentRecord, url: str) -> bool:
        declared = self.found.declared.get(document.ref) or self.found.carried.get(document.ref)
        return declared is not None and (declared.url, declared.document) == (url, document.number)


def _moved(url: str) -> ServiceUnavailableError:
    return ServiceUnavailableError(
        f"{url} changed while the source was read.",
        code="catalog.source.moving",
        remedy="It is read again.",
    )


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
