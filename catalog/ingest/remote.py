"""Reading another instance: what its catalog lists, and of that whole only what is new or changed.

Each entity goes through the same processing as a document of a file, from the places that it had there: its own
annotations for view, edit and source hold, while uid, etag, relations and status of the other instance do not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from catalog.ingest.annotations import EDIT_URL, LOCATION, ORIGIN_LOCATION, ORPHAN, SOURCE_LOCATION, VIEW_URL
from catalog.ingest.attributes import flatten
from catalog.ingest.collect import Progress
from catalog.ingest.collected import Collected, Declared
from catalog.ingest.description import SourceDescription
from catalog.ingest.locations import location_entity
from catalog.ingest.problems import Problem, Rejected
from catalog.ingest.process import Processed, process_document
from catalog.ingest.sources import ReadSession
from catalog.ingest.sources.remote import RemoteCatalog, fetched, in_chunks, ref_of, version_of
from catalog.kinds import KindRegistry
from catalog.refs import LocationRef, RefError, parse_location_ref
from portal.core.errors import CallboardError, NotAllowedError
from portal.core.process import CancelledError

TAKEN, REFUSED, CONFLICT, LEFT_OUT, LATER = "taken", "refused", "conflict", "left-out", "later"
_GENERATED = re.compile(r"location:default/(generated-[0-9a-f]{40}|bootstrap)")
_SYSTEM_FIELDS = ("uid", "etag")
_LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True)
class Known:
    """What the last reading remembered of an entity."""

    mark: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Before:
    """What is here of the source already.

    Attributes:
        entries: by reference, as the last reading left them; empty to read everything again.
        steady: references of which the catalog still says what that reading made of them.
        own: references of the entities that the source has.
        fingerprint: of all that decides how an entity is taken in; with another one everything is read again.
        own_origin: of entities that the other instance has from this one. They are left out: two that read each other
            would keep alive what neither declares.
    """

    entries: Mapping[str, Known]
    steady: AbstractSet[str]
    own: AbstractSet[str]
    fingerprint: str
    own_origin: str


@dataclass(slots=True)
class Entry:
    """What became of one entity. ``shown`` are the relations that it has there: type and target."""

    kind: str
    mark: str
    outcome: str
    reason: str = ""
    origin: str = ""
    status_error: str = ""
    shown: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class RemoteReading:
    """What a reading came to, besides its entities.

    Attributes:
        entries: of what was looked at; all others are as they were.
        gone: what it does not list any more, and does not have either.
        listed: how many it lists.
        complete: the listing was read to its end.
        fetched: how many entities were asked for.
        unreadable: lines of the listing that name no entity.
        locations: registered there; None where that was not asked or not answered (``locations_error``).
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    listed: int = 0
    complete: bool = False
    fetched: int = 0
    requests: int = 0
    bytes: int = 0
    pages: int = 0
    unreadable: int = 0
    locations: list[LocationRef] | None = None
    locations_error: str = ""
    error: str = ""


def filters_of(pattern: str) -> list[str]:
    """The filters of a source, written as in a query: ``kind=component&filter=kind=api``."""
    return [text for part in pattern.split("&filter=") if (text := part.removeprefix("filter=").strip())]


def page_address(view_url: str, ref: str) -> str:
    """The page of an entity in the portal of another instance; empty where that is not known."""
    kind, _, rest = ref.partition(":")
    namespace, _, name = rest.partition("/")
    path = "/".join(quote(part, safe="") for part in (namespace, kind, name))
    return f"{view_url.rstrip('/')}/catalog/{path}" if view_url else ""


def collect_remote(
    source: SourceDescription,
    *,
    session: ReadSession,
    registry: KindRegistry,
    before: Before,
    view_url: str = "",
    progress: Progress = lambda done, total, text: None,
) -> tuple[Collected, RemoteReading]:
    """Read what changed in another instance.

    What it says wrong or not at all becomes a problem. Only what it neither lists nor has when asked by reference
    counts as gone; where the listing breaks off nothing does.

    Args:
        view_url: address of its portal; entities that name no page of their own lead there.
    """
    return _Reader(source, session, registry, before, view_url, progress).run()


class _Reader:
    def __init__(
        self,
        source: SourceDescription,
        session: ReadSession,
        registry: KindRegistry,
        before: Before,
        view_url: str,
        progress: Progress,
    ) -> None:
        self.source = source
        self.session = session
        self.registry = registry
        self.before = before
        self.view_url = view_url
        self.progress = progress
        self.remote = RemoteCatalog(session, source.root.target, filters_of(source.pattern))
        self.origin = LocationRef("url", source.root.target)
        self.root = ""
        self.found = Collected()
        self.reading = RemoteReading()
        self.listed: dict[str, tuple[str, str]] = {}  # reference -> (kind, mark)

    def run(self) -> tuple[Collected, RemoteReading]:
        try:
            self._declare_root()
        except Rejected as rejected:  # Locations are switched off
            problems = [replace(problem, url=self.origin.target) for problem in rejected.problems]
            self.found.problems += [(problem, "") for problem in problems]
            self.found.unread[""] = problems[0].message
            return self._ended()
        to_fetch = self._list()
        if self.reading.complete:
            to_fetch += self._vanished()
        self._fetch(to_fetch)
        if self.reading.complete and to_fetch:
            self._ask_locations()
        settled = self.reading.complete and not self.found.unread and not self._any_left_for_later()
        self.found.version = self._version() if settled else ""
        return self._ended()

    def _ended(self) -> tuple[Collected, RemoteReading]:
        reading, found = self.reading, self.found
        reading.requests, reading.bytes = self.remote.requests, self.remote.bytes
        reading.pages, reading.unreadable = self.remote.pages, self.remote.unreadable
        reading.listed = len(self.listed)
        reading.error = found.unread.get("", "") or next(iter(found.unread.values()), "")
        found.invalid = set(found.failed)
        return found, reading

    def _declare_root(self) -> None:
        value = location_entity(self.origin)
        value["metadata"]["name"] = self.source.name
        processed = self._process(value, self.origin, rules=False)
        self.root = processed.ref
        self._declare(processed, processed.entity, self.origin.target, parent="")

    def _any_left_for_later(self) -> bool:
        return any(entry.outcome == LATER for entry in self.reading.entries.values())

    def _version(self) -> str:
        digest = hashlib.sha256()
        for ref, (_, mark) in sorted(self.listed.items()):
            digest.update(f"{ref}\0{mark}\0".encode())
        return digest.hexdigest()

    # --- what is there

    def _list(self) -> list[str]:
        """Page through the listing; returns what has to be read whole."""
        to_fetch: list[str] = []
        try:
            for page in self.remote.listing():
                for item in page:
                    if item.ref not in self.listed and self._note(item.ref, item.kind, item.version):
                        to_fetch.append(item.ref)
                self.progress(len(self.listed), 0, "Listing")
            self.reading.complete = True
        except CancelledError:
            raise
        except CallboardError as error:
            self._unread(error, ())
            self.found.unread[""] = error.message
        if self.remote.unreadable:
            self._problem(
                Problem(
                    "catalog.remote.unnamed",
                    f"{self.remote.unreadable} entities that {self.remote.base} lists have no name that can be read.",
                    severity="warning",
                    remedy="Look for entities without kind or name in that instance.",
                    url=self.origin.target,
                )
            )
        return to_fetch

    def _note(self, ref: str, kind: str, version: str) -> bool:
        """Take a line of the listing; whether the entity has to be read."""
        mark = self._mark(version)
        self.listed[ref] = (kind, mark)
        known = self.before.entries.get(ref)
        if _GENERATED.fullmatch(ref):
            if known is None or known.mark != mark:
                reason = "It stands for a location that is registered there."
                self.reading.entries[ref] = Entry(kind, mark, LEFT_OUT, reason)
            return False
        if mark and known is not None and known.mark == mark and ref in self.before.steady:
            self.found.kept.add(ref)
            return False
        return True

    def _mark(self, version: str) -> str:
        if not version:
            return ""
        text = f"{self.before.fingerprint}\0{version}".encode("utf-8", "replace")
        return hashlib.sha1(text, usedforsecurity=False).hexdigest()

    def _vanished(self) -> list[str]:
        """Ask once more for what is not listed any more: a listing that changes while it is read may miss some.

        Returns:
            such as are there after all.
        """
        known = (self.before.entries.keys() | self.before.own) - self.listed.keys() - {self.root}
        self.reading.gone = {ref for ref in known if _GENERATED.fullmatch(ref)}
        missing = sorted(known - self.reading.gone)
        still_there: list[str] = []
        for chunk in in_chunks(missing):
            try:
                items = self.remote.by_refs(chunk, brief=True)
            except CancelledError:
                raise
            except CallboardError as error:
                self._unread(error, (ref for ref in missing if ref not in self.reading.gone))
                break
            for ref, item in zip(chunk, items, strict=True):
                if item is None:
                    self.reading.gone.add(ref)
                elif self._note(ref, ref.partition(":")[0], version_of(item) if ref_of(item) == ref else ""):
                    still_there.append(ref)
        return still_there

    def _unread(self, error: CallboardError, refs: Iterable[str]) -> None:
        """What cannot be read just now stays as it was, marked."""
        for ref in refs:
            if ref not in self.found.kept:
                self.found.unread[self.remote.address(ref)] = error.message
        ours = error.code.startswith("catalog.remote.")
        self._problem(
            Problem(
                error.code if ours else f"catalog.read.{error.code.rpartition('.')[2]}",
                error.message,
                remedy=error.remedy,
                error_name=error.name,
                url=self.origin.target,
            )
        )

    # --- entities

    def _fetch(self, refs: list[str]) -> None:
        self.reading.fetched = len(refs)
        done = 0
        for chunk in in_chunks(refs):
            try:
                for ref, item in fetched(self.remote, chunk):
                    self._take(ref, item)
                    done += 1
            except CancelledError:
                raise
            except CallboardError as error:
                self._unread(error, refs[done:])
                return
            self.progress(done, len(refs), "Reading")

    def _take(self, ref: str, item: Any) -> None:
        kind, mark = self.listed[ref]
        url = self.remote.address(ref)
        self.found.documents += 1
        if isinstance(item, CallboardError):
            problem = Problem(
                "catalog.remote.too-large",
                f"{ref} is larger than may be read, or nested too deeply: {item.message}",
                remedy="Make it smaller there, or raise CALLBOARD_MAX_FILE_BYTES.",
            )
            self._refuse(ref, Entry(kind, mark, REFUSED), [problem], url)
            return
        if item is None:
            self._later(ref, kind, "It went while it was read.")
            return
        if ref_of(item) != ref:
            problem = Problem(
                "catalog.remote.other-entity",
                f"{self.remote.base} was asked for {ref} and sent something else.",
                remedy="Check that instance.",
            )
            self._refuse(ref, Entry(kind, mark, REFUSED), [problem], url)
            return
        known = self.before.entries.get(ref)
        if self._mark(version_of(item)) != mark:
            if known is None or known.outcome != LATER:
                self._later(ref, kind, "It changed while it was read.")
                return
            mark = self._mark(version_of(item))  # it changes all the time: as it is now, or never
        self._process_item(ref, Entry(kind, mark, TAKEN), item, url)

    def _later(self, ref: str, kind: str, reason: str) -> None:
        """Two states of one entity are never mixed: what is here stays, and the next reading sees to it."""
        self.reading.entries[ref] = Entry(kind, "", LATER, reason)
        self.found.kept.add(ref)

    def _process_item(self, ref: str, entry: Entry, item: dict[str, Any], url: str) -> None:
        annotations = item["metadata"].get("annotations")
        annotations = annotations if isinstance(annotations, dict) else {}
        entry.origin = str(annotations.get(ORIGIN_LOCATION) or "")[:2_000].replace("\0", "")
        entry.status_error = _status_error(item)
        entry.shown = _relations(item)
        if entry.origin == self.before.own_origin:
            entry.outcome, entry.reason = LEFT_OUT, "It came from this catalog."
            self.reading.entries[ref] = entry
            self.found.read.add(url)
            return
        try:
            place = parse_location_ref(annotations.get(LOCATION) or "")
        except RefError:
            place = self.origin
        try:
            processed = self._process(_as_written(item), place, rules=True)
            flatten(processed.entity)
        except Rejected as rejected:
            self._refuse(ref, entry, rejected.problems, url)
            return
        for problem in processed.warnings:
            self._problem(replace(problem, url=url), ref)
        self.reading.entries[ref] = entry
        self.found.read.add(url)
        self._declare(
            processed, self._with_our_places(processed.entity, annotations, ref, place), url, self.root
        )

    def _process(self, value: dict[str, Any], place: LocationRef, *, rules: bool) -> Processed:
        # A Location is shown, not followed: its type does not matter, only whether Locations may come at all.
        location = str(value.get("kind", "")).lower() == "location"
        if rules and location and not self.source.rules.allows({"kind": "Location"}, self.origin):
            location = False  # let it be refused in the usual words
        return process_document(
            value,
            location=place,
            origin=self.origin,
            registry=self.registry,
            hosts=self.session.hosts,
            read_placeholder=_never,
            rules=self.source.rules if rules and not location else None,
        )

    def _with_our_places(
        self, entity: dict[str, Any], theirs: Mapping[str, Any], ref: str, place: LocationRef
    ) -> dict[str, Any]:
        """Managed by this source, while the addresses that people follow to the code are those it had there."""
        metadata = entity["metadata"]
        annotations = {
            **metadata["annotations"],
            LOCATION: str(self.origin),
            ORIGIN_LOCATION: str(self.origin),
        }
        if place == self.origin:  # derived from the address of the API, which is no page
            for key in {VIEW_URL, EDIT_URL, SOURCE_LOCATION} - theirs.keys():
                annotations.pop(key, None)
        page = page_address(self.view_url, ref)
        if page:
            annotations.setdefault(VIEW_URL, page)
        return {**entity, "metadata": {**metadata, "annotations": annotations}}

    def _refuse(self, ref: str, entry: Entry, problems: Sequence[Problem], url: str) -> None:
        rules = {problem.rule for problem in problems}
        problems = [
            p for p in problems if p.rule != "catalog.kind.not-allowed" or "catalog.kind.unknown" not in rules
        ]
        for problem in problems:
            self._problem(replace(problem, url=url), ref)
        entry.outcome, entry.reason = REFUSED, problems[0].message[:_LONGEST_TEXT]
        self.reading.entries[ref] = entry
        self.found.read.add(url)
        if problems[0].rule != "catalog.kind.not-allowed":
            self.found.failed[ref] = replace(problems[0], url=url)

    def _declare(self, processed: Processed, entity: dict[str, Any], url: str, parent: str) -> None:
        self.found.declared[processed.ref] = Declared(
            ref=processed.ref,
            kind=processed.kind,
            namespace=processed.namespace,
            name=processed.name,
            entity=entity,
            relations=processed.relations,
            url=url,
            document=0,
            line=1,
            commit="",
            parent_ref=parent,
        )

    def _problem(self, problem: Problem, ref: str = "") -> None:
        self.found.problems.append((problem, ref))

    def _ask_locations(self) -> None:
        try:
            self.reading.locations = self.remote.locations()
        except CancelledError:
            raise
        except CallboardError as error:
            self.reading.locations_error = error.message


def _never(place: LocationRef) -> bytes:
    raise NotAllowedError(
        "another instance sends finished entities, whose files are not followed.",
        code="catalog.remote.placeholder",
        remedy="Look at the entity there: its placeholder was never replaced.",
    )


def _as_written(item: dict[str, Any]) -> dict[str, Any]:
    """The entity without what the other instance added."""
    value = {key: part for key, part in item.items() if key not in ("relations", "status")}
    metadata = {key: part for key, part in item["metadata"].items() if key not in _SYSTEM_FIELDS}
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict):
        theirs = (LOCATION, ORIGIN_LOCATION, ORPHAN)
        metadata["annotations"] = {key: part for key, part in annotations.items() if key not in theirs}
    value["metadata"] = metadata
    return value


def _relations(item: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    relations = item.get("relations")
    found = {}
    for relation in relations if isinstance(relations, list) else ():
        if isinstance(relation, dict):
            kind, target = relation.get("type"), relation.get("targetRef")
            if isinstance(kind, str) and isinstance(target, str):
                found[kind.replace("\0", "")[:100], target.lower().replace("\0", "")[:260]] = True
    return tuple(found)


def _status_error(item: dict[str, Any]) -> str:
    """What the other instance found wrong with it; empty where nothing."""
    status = item.get("status")
    items = status.get("items") if isinstance(status, dict) else None
    for one in items if isinstance(items, list) else ():
        if isinstance(one, dict) and one.get("level") == "error":
            return str(one.get("message") or "An error without a message.").replace("\0", "")[:_LONGEST_TEXT]
    return ""
