"""Sources that are another instance: what of it is known before a reading, and what is remembered after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from django.conf import settings

from catalog.ingest.collect import Progress
from catalog.ingest.collected import Collected, Rival
from catalog.ingest.description import SourceDescription
from catalog.ingest.problems import Problem as Finding
from catalog.ingest.remote import (
    CONFLICT,
    LEFT_OUT,
    REFUSED,
    TAKEN,
    Before,
    Known,
    RemoteReading,
    collect_remote,
)
from catalog.ingest.sources import ReadSession
from catalog.kinds import KindRegistry
from catalog.models import Contender, Entity, Problem, Relation, RemoteEntry, Source, Sync
from catalog.services.problems import FIELDS
from catalog.services.publishing.plan import Plan, chunks
from catalog.services.remote_report import store_report

REASON = "a sync reads for the system"
#: Lost relations that are kept of one entity; of more only their number.
KEPT_LOST = 50
_CHANGED = ("kind", "mark", "outcome", "reason", "origin", "status_error", "lost", "lost_count")


def read_remote(
    source: Source,
    description: SourceDescription,
    *,
    session: ReadSession,
    registry: KindRegistry,
    fingerprint: str,
    force: bool,
    progress: Progress,
) -> tuple[Collected, RemoteReading]:
    """Read another instance as far as it changed since the last reading, or all of it.

    Args:
        fingerprint: of all that decides how entities are taken in.
        force: read every entity again.
    """
    entries = {} if force else _known(source)
    rows = Entity.objects.unrestricted(REASON).filter(source=source)
    own = {
        ref: state == Entity.State.ACTIVE and not has_errors
        for ref, state, has_errors in rows.values_list("ref", "state", "has_errors")
    }
    own_origin = f"url:{settings.CALLBOARD_BASE_URL}/api/catalog"
    before = Before(entries, _steady(source, entries, own), own.keys(), fingerprint, own_origin)
    found, reading = collect_remote(
        description,
        session=session,
        registry=registry,
        before=before,
        view_url=source.view_url,
        progress=progress,
    )
    _carry_over(source, found)
    return found, reading


def _known(source: Source) -> dict[str, Known]:
    rows = RemoteEntry.objects.unrestricted(REASON).filter(source=source)
    return {ref: Known(mark, outcome) for ref, mark, outcome in rows.values_list("ref", "mark", "outcome")}


def _steady(source: Source, entries: Mapping[str, Known], own: Mapping[str, bool]) -> set[str]:
    """References of which the catalog still says what the last reading made of them.

    Not so where somebody deleted the entity, where it is marked missing, or where the other source that had it is gone.

    Args:
        own: whether an entity of the source is as it should be.
    """
    steady = {ref for ref, known in entries.items() if known.outcome == TAKEN and own.get(ref)}
    missing = set(
        Entity.objects.unrestricted(REASON)
        .filter(source=source, state=Entity.State.MISSING)
        .values_list("ref", flat=True)
    )
    steady |= {
        ref for ref, known in entries.items() if known.outcome in (REFUSED, LEFT_OUT) and ref not in missing
    }
    lost = [ref for ref, known in entries.items() if known.outcome == CONFLICT]
    for part in chunks(lost):
        rows = Entity.objects.unrestricted(REASON).filter(ref__in=part, source__isnull=False)
        steady.update(rows.exclude(source=source).values_list("ref", flat=True))
    return steady


def _carry_over(source: Source, found: Collected) -> None:
    """Records about entities that were not read again hold as they did: problems, and claims that others outrank."""
    for problem in (
        Problem.objects.unrestricted(REASON).filter(source=source).exclude(entity_ref="").iterator()
    ):
        if problem.entity_ref in found.kept:
            values = {name: getattr(problem, name) for name in FIELDS}
            numbers = {name: values[name] or 0 for name in ("document", "line", "column")}
            finding = Finding(**{**values, **numbers})
            found.problems.append((finding, problem.entity_ref))
            if problem.owner_ref:
                found.owners[finding.url, finding.document] = problem.owner_ref
    for claim in Contender.objects.unrestricted(REASON).filter(source=source).iterator():
        if claim.entity_ref in found.kept:
            found.rivals.append(
                Rival(
                    claim.entity_ref,
                    claim.url,
                    claim.document,
                    claim.line,
                    claim.parent_ref,
                    claim.same_file,
                )
            )


def remember_remote(
    source: Source, sync: Sync, reading: RemoteReading, found: Collected, plan: Plan | None
) -> None:
    """Keep what became of each entity, for the next reading and for the report of this one. Part of the sync's write.

    Args:
        plan: the last comparison; None where nothing had changed.
    """
    winners = {declared.ref: row for declared, row in plan.conflicts} if plan is not None else {}
    for ref in plan.lost if plan is not None else ():
        entry = reading.entries.get(ref)
        if entry is not None:
            winner = winners.get(ref)
            entry.outcome = CONFLICT
            entry.reason = f"{winner.url} declares it already." if winner else "Another source has it."
    if reading.complete:
        for part in chunks(sorted(reading.gone)):
            RemoteEntry.objects.unrestricted(REASON).filter(source=source, ref__in=part).delete()
    stored = dict(RemoteEntry.objects.unrestricted(REASON).filter(source=source).values_list("ref", "pk"))
    lost = _lost(reading)
    new: list[RemoteEntry] = []
    changed: list[RemoteEntry] = []
    for ref, entry in reading.entries.items():
        relations = lost.get(ref, [])
        row = RemoteEntry(
            pk=stored.get(ref),
            source=source,
            ref=ref,
            kind=ref.partition(":")[0],
            mark=entry.mark,
            outcome=entry.outcome,
            reason=_storable(entry.reason),
            origin=_storable(entry.origin),
            status_error=_storable(entry.status_error),
            lost=[[_storable(kind), _storable(target)] for kind, target in relations[:KEPT_LOST]],
            lost_count=len(relations),
        )
        (changed if ref in stored else new).append(row)
    RemoteEntry.objects.bulk_create(new, batch_size=500)
    RemoteEntry.objects.bulk_update(changed, _CHANGED, batch_size=200)
    if plan is not None:
        _look_again(source, reading)
    store_report(source=source, sync=sync, reading=reading, kept=found.kept)


def _lost(reading: RemoteReading) -> dict[str, list[tuple[str, str]]]:
    """Relations that an entity shows there and not here, of those that were read."""
    shown = {
        ref: entry.shown for ref, entry in reading.entries.items() if entry.shown and entry.outcome == TAKEN
    }
    lost = {}
    for part in chunks(list(shown)):
        here = _relations_of(list(part))
        for ref in part:
            if missing := [pair for pair in shown[ref] if pair not in here[ref]]:
                lost[ref] = missing
    return lost


def _relations_of(refs: list[str]) -> dict[str, set[tuple[str, str]]]:
    here: dict[str, set[tuple[str, str]]] = defaultdict(set)
    rows = Relation.objects.unrestricted(REASON).filter(source_ref__in=refs)
    for ref, kind, target in rows.values_list("source_ref", "type", "target_ref"):
        here[ref].add((kind, target))
    return here


def _look_again(source: Source, reading: RemoteReading) -> None:
    """What an entity lost may have come with another one since: its other end was refused then, or not read yet."""
    rows = RemoteEntry.objects.unrestricted(REASON).filter(source=source, lost_count__gt=0)
    for part in _parts(row for row in rows.iterator() if row.ref not in reading.entries):
        here = _relations_of([row.ref for row in part])
        better = []
        for row in part:
            still = [pair for pair in row.lost if tuple(pair) not in here[row.ref]]
            if len(still) < len(row.lost):
                row.lost_count -= len(row.lost) - len(still)
                row.lost = still
                better.append(row)
        RemoteEntry.objects.bulk_update(better, ["lost", "lost_count"], batch_size=200)


def _parts(rows: Iterator[RemoteEntry], size: int = 500) -> Iterator[list[RemoteEntry]]:
    part: list[RemoteEntry] = []
    for row in rows:
        part.append(row)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _storable(text: str) -> str:
    """What another instance wrote, as a database takes it."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()
