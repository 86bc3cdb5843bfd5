"""What has to hold once an installation is quiet again: the catalog, its history, its events, its books."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any
from uuid import UUID

import orjson

from catalog.bench.faults import books
from catalog.bench.faults.consistency import contradictions
from catalog.models import Entity, Revision, Source, Sync
from catalog.services.publishing.announce import CHANGED, CONTENT, CREATED, PLACE, REMOVED, RENAMED, RESTORED
from portal.audit.services import verify
from portal.events.models import Event
from portal.jobs.models import Job
from portal.jobs.webhooks import DELIVER

REASON = "a check compares everything"
#: Of one kind of fault, so many are named.
NAMED = 5


def differences(truth: dict[str, dict[str, Any]], locations: list[str]) -> list[str]:
    """What the catalog says otherwise than its sources do.

    Args:
        truth: reference -> ``source`` (name or target) and ``document`` as declared.
        locations: targets that are registered over REST.
    """
    return [*_missing_and_other(truth), *_registrations(locations)]


def _missing_and_other(truth: dict[str, dict[str, Any]]) -> Iterator[str]:
    names = {
        pk: (name, target)
        for pk, name, target in Source.objects.unrestricted(REASON).values_list("pk", "name", "target")
    }
    found = {}
    for entity in Entity.objects.unrestricted(REASON).exclude(kind="location").select_related("document"):
        found[entity.ref] = entity
    for ref in sorted(truth.keys() - found.keys()):
        yield f"{ref} of {truth[ref]['source']} is not in the catalog"
    for ref in sorted(found.keys() - truth.keys()):
        yield f"{ref} is in the catalog, and no source declares it"
    for ref in sorted(truth.keys() & found.keys()):
        entity, wanted = found[ref], truth[ref]
        owner: tuple[str, ...] = names.get(entity.source_id, ()) if entity.source_id else ()
        if wanted["source"] not in owner:
            yield f"{ref} belongs to {owner}, not {wanted['source']}"
        if declared(entity.document.text) != wanted["document"]:
            yield f"{ref} has an older document"
        if entity.state != Entity.State.ACTIVE or entity.has_errors:
            yield f"{ref} is {entity.state}: {entity.state_reason or 'its last reading failed'}"


def declared(text: str) -> dict[str, Any]:
    """A stored document without what the catalog adds."""
    document: dict[str, Any] = orjson.loads(text)
    for name in ("relations", "status"):
        document.pop(name, None)
    metadata = document["metadata"]
    for name in ("uid", "etag", "namespace"):
        metadata.pop(name, None)
    notes = metadata.get("annotations", {})
    metadata["annotations"] = {k: v for k, v in notes.items() if k.startswith("bench.callboard/")}
    return document


def _registrations(locations: list[str]) -> Iterator[str]:
    rows = Source.objects.unrestricted(REASON).filter(registered_by=Source.RegisteredBy.API)
    rows = rows.exclude(type=Source.Type.MANAGED)  # made by whoever wrote first
    found = set(rows.values_list("target", flat=True))
    for target in sorted(set(locations) - found):
        yield f"{target} is not registered"
    for target in sorted(found - set(locations)):
        yield f"{target} is registered still"


def faults() -> dict[str, list[str]]:
    """Everything that must not be, by kind; empty lists where all is well."""
    found = {
        "catalog contradicts itself": contradictions(),
        "versions": _versions(),
        "events of versions": _events_of_versions(),
        "event positions": _positions(Event.objects.unrestricted(REASON).values_list("position", flat=True)),
        "jobs": _jobs(),
        "books of sources": _books(),
        "readings": books.readings(),
        "kept texts": books.kept_texts(),
        "operations": books.operations(),
        "answers": books.answers(),
        "deliveries": books.deliveries(),
        "audit": _audit(),
    }
    return {name: _some(texts) for name, texts in found.items()}


def _some(texts: Iterable[str]) -> list[str]:
    listed = list(texts)
    more = len(listed) - NAMED
    return [*listed[:NAMED], f"and {more} more"] if more > 0 else listed


def _versions() -> Iterator[str]:
    """Each version 1..n of each uid exactly once, one following the other in time, no two of them the same."""
    closed: dict[UUID, list[Revision]] = defaultdict(list)
    for revision in Revision.objects.unrestricted(REASON).order_by("uid", "number"):
        closed[revision.uid].append(revision)
    present = {entity.uid: entity for entity in Entity.objects.unrestricted(REASON)}
    for uid in closed.keys() | present.keys():
        rows, entity = closed.get(uid, []), present.get(uid)
        numbers = [row.number for row in rows] + ([entity.revision] if entity else [])
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"{uid} has the versions {numbers}"
        for row, following in pairwise(rows):
            yield from _followed(row, following.since, _content(following))
        if not rows:
            continue
        if entity is None:
            if rows[-1].end == Revision.End.CHANGED:
                yield f"{rows[-1]} was changed into nothing"
        else:
            yield from _followed(rows[-1], entity.revised_at, _content(entity))


def _content(row: Revision | Entity) -> tuple[Any, ...]:
    return row.content_hash, row.url, row.source_id


def _followed(row: Revision, since: Any, content: tuple[Any, ...]) -> Iterator[str]:
    if since < row.until or (row.end == Revision.End.CHANGED and since != row.until):
        yield f"{row} ended {row.until}, the next one began {since}"
    # A document that had an error and has it no more is another version of the same text.
    if row.end == Revision.End.CHANGED and _content(row) == content and '"status"' not in row.text:
        yield f"{row} and the next version are the same"


def _events_of_versions() -> Iterator[str]:
    """One event for the beginning of each version, in the order of the versions; one for each end."""
    begun: dict[str, list[int]] = defaultdict(list)
    ended: dict[str, list[int]] = defaultdict(list)
    kinds = (CREATED, CHANGED, RENAMED, RESTORED, REMOVED)
    rows = Event.objects.unrestricted(REASON).filter(type__in=kinds).order_by("position")
    for kind, data in rows.values_list("type", "data"):
        if kind == REMOVED:
            ended[data["uid"]].append(data["revision"])
        elif kind != CHANGED or data["part"] in (CONTENT, PLACE):
            begun[data["uid"]].append(data["revision"])
    numbers: dict[str, list[int]] = defaultdict(list)
    ends: dict[str, list[int]] = defaultdict(list)
    for uid, number, end in (
        Revision.objects.unrestricted(REASON).order_by("uid", "number").values_list("uid", "number", "end")
    ):
        numbers[str(uid)].append(number)
        if end != Revision.End.CHANGED:
            ends[str(uid)].append(number)
    for uid, number in Entity.objects.unrestricted(REASON).values_list("uid", "revision"):
        numbers[str(uid)].append(number)
    for one in begun.keys() | numbers.keys():
        if begun.get(one) != numbers.get(one):
            yield f"{one} has versions {numbers.get(one)} and events {begun.get(one)}"
    for one in ended.keys() | ends.keys():
        if ended.get(one) != ends.get(one):
            yield f"{one} ended at versions {ends.get(one)}, its events say {ended.get(one)}"


def _positions(found: Iterable[int | None]) -> Iterator[str]:
    listed = list(found)
    if unsealed := listed.count(None):
        yield f"{unsealed} events have no position"
    positions = sorted(p for p in listed if p is not None)
    if positions != list(range(1, len(positions) + 1)):
        yield f"{len(positions)} events have positions from {positions[:1]} to {positions[-1:]}"


def _jobs() -> Iterator[str]:
    for job in Job.objects.unrestricted(REASON).exclude(state=Job.State.SUCCEEDED):
        code = (job.error or {}).get("code", "")
        # A registration that was removed before its turn came has nothing left to read.
        if job.state == Job.State.FAILED and code == "catalog.source.gone":
            continue
        # What a dead sender left is sent by the next job of its kind; whether it was, the deliveries say.
        if job.kind == DELIVER and code == "jobs.worker_lost":
            continue
        yield f"{job} is {job.state} after {job.attempts} tries: {job.error}"


def _books() -> Iterator[str]:
    running = Job.objects.unrestricted(REASON).filter(state=Job.State.RUNNING)
    marked = Source.objects.unrestricted(REASON).exclude(reading_job=None)
    for source in marked.exclude(reading_job__in=running.values("pk")):
        yield f"{source} bears the mark of job {source.reading_job}, which does not run"
    for sync in Sync.objects.unrestricted(REASON).filter(state=Sync.State.RUNNING).select_related("source"):
        yield f"the sync {sync} never ended"
    for source in Source.objects.unrestricted(REASON).filter(state="running"):
        yield f"{source} is said to be read"


def _audit() -> Iterator[str]:
    verdict = verify()
    if verdict.problem:
        yield verdict.problem
    if verdict.waiting:
        yield f"{verdict.waiting} records wait for a position"
