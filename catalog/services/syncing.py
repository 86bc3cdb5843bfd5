"""Reading a source: from its files to the written difference, one record at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, Q
from django.utils import timezone

from catalog.ingest.collect import collect
from catalog.ingest.collected import Collected
from catalog.ingest.description import SourceDescription
from catalog.ingest.records import FileRecord, engine_fingerprint
from catalog.ingest.remote import RemoteReading
from catalog.ingest.sources import Known, ReadSession
from catalog.kinds import KindRegistry
from catalog.models import AttributeValue, Entity, EntityAttribute, EntityDocument, Relation, Source, Sync
from catalog.selectors import known_files
from catalog.services.files import remember_files
from catalog.services.findings import findings_of, replace_contenders
from catalog.services.kinds import current_kinds_version, current_registry
from catalog.services.managed.reading import collect_kept
from catalog.services.people import define_people
from catalog.services.problems import replace_problems
from catalog.services.publishing import Counts, publish
from catalog.services.publishing.cause import Cause
from catalog.services.publishing.claims import note_claims
from catalog.services.publishing.plan import Plan, chunks
from catalog.services.publishing.revisions import forget_old_versions
from catalog.services.remote import read_remote, remember_remote
from catalog.services.removals import Held, forget_old_tombstones, hold_back, note_held
from catalog.services.sources import request_sync
from catalog.services.sources_file import declared_rules
from catalog.services.sync_outcomes import close_abandoned, note_outcome, outcome_of
from catalog.services.versions import wait_for_publications
from portal.audit.services import record
from portal.connections.gates import ConnectionGate
from portal.connections.selectors import host_configs
from portal.core.bulk import refresh_statistics
from portal.core.errors import CallboardError, NotFoundError
from portal.core.process import CancelledError
from portal.events.services import publish as publish_events
from portal.jobs.models import Job
from portal.jobs.running import JobContext, LostLeaseError

REASON = "a sync reads for the system"
KEPT_SYNCS = 50
TURN_SECONDS = 0.1
#: New entities of one reading after which the database is told what is there now.
MANY = 5_000
#: Stands for the version of a source while a sync writes; followed by its number.
WRITING = "writing:"


@dataclass(frozen=True, slots=True)
class _Outcome:
    state: str
    counts: Counts
    problems: int = 0
    error: str = ""
    counts_as: str = Sync.Outcome.SUCCESS
    steps: dict[str, float] = field(default_factory=dict)


class _Steps:
    """Milliseconds of each step of a sync."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}
        self._since = time.perf_counter()

    def end(self, name: str) -> None:
        now = time.perf_counter()
        self.found[name] = round(self.found.get(name, 0) + (now - self._since) * 1000, 1)
        self._since = now


def sync_source(*, context: JobContext, source_id: UUID, force: bool = False) -> dict[str, object]:
    """Read one source and publish the difference. One job at a time reads a source; others wait for their turn.

    Args:
        force: compare everything, also where the version is the one last read.

    Raises:
        NotFoundError: the source is gone.
        CallboardError: nothing of it could be read; what it declared before stays, marked missing.
    """
    rows = Source.objects.unrestricted(REASON).filter(pk=source_id)
    try:
        source = rows.first()
        if source is None:
            raise _gone(source_id)
        with _turn(context, source):
            return _sync(context, source, force=force)
    except (IntegrityError, Source.DoesNotExist):
        if rows.exists():
            raise
        raise _gone(source_id) from None  # somebody removed it meanwhile


def _gone(source_id: UUID) -> NotFoundError:
    return NotFoundError(f"There is no source {source_id} any more.", code="catalog.source.gone")


@contextmanager
def _turn(context: JobContext, source: Source) -> Iterator[None]:
    """Have the source to oneself, so that an older reading never publishes over a newer one.

    A job that died does not block: its mark is taken away as soon as the job is no longer running.
    """
    me, rows = context.job.pk, Source.objects.unrestricted(REASON).filter(pk=source.pk)
    while not rows.filter(Q(reading_job=None) | Q(reading_job=me)).update(reading_job=me):
        context.checkpoint()
        found = list(rows.values_list("reading_job", flat=True))
        if not found:
            raise _gone(source.pk)
        other = found[0]
        if (
            other is None
            or not Job.objects.unrestricted(REASON).filter(pk=other, state=Job.State.RUNNING).exists()
        ):
            rows.filter(reading_job=other).update(reading_job=None)
            continue
        time.sleep(TURN_SECONDS)
    try:
        source.refresh_from_db()
        yield
    finally:
        # A worker that lost the job to another one must not take away the mark of that one's try.
        mine = Job.objects.unrestricted(REASON).filter(pk=me, fence=context.job.fence)
        rows.filter(Exists(mine), reading_job=me).update(reading_job=None)


def _sync(context: JobContext, source: Source, *, force: bool) -> dict[str, object]:
    started = timezone.now()
    with context.writing():
        close_abandoned(source=source, now=started)
        sync = Sync.objects.create(
            source=source, job_id=context.job.pk, actor=context.job.actor, started_at=started
        )
        Source.objects.filter(pk=source.pk).update(state="running", last_sync_at=started)
    try:
        outcome, found = _read_and_publish(context, source, sync, force=force)
    except LostLeaseError:
        raise  # the worker that has the job now has closed this sync, and writes the state of the source
    except BaseException as error:
        message = error.message if isinstance(error, CallboardError) else f"{type(error).__name__}: {error}"
        failed = _Outcome(Sync.State.FAILED, Counts(), error=message, counts_as=outcome_of(error))
        _close(source, sync, failed, Collected())
        raise
    _close(source, sync, outcome, found)
    seconds = round((timezone.now() - started).total_seconds(), 3)
    return {
        "seconds": seconds,
        "sync": sync.pk, "state": outcome.state, "entities": found.entities, "added": outcome.counts.added,
        "changed": outcome.counts.changed, "removed": outcome.counts.removed, "problems": outcome.problems,
        "steps": outcome.steps,
    }  # fmt: skip


def _read_and_publish(
    context: JobContext, source: Source, sync: Sync, *, force: bool
) -> tuple[_Outcome, Collected]:
    kinds = current_kinds_version()  # before the kinds themselves, which may be newer and never older
    registry = current_registry()
    rules = None if source.allowed_kinds else declared_rules()
    description = SourceDescription.of(source, registry, rules=rules)
    steps = _Steps()
    rules_of = f"{engine_fingerprint()}.{kinds}.{description.fingerprint}"
    if source.type == Source.Type.MANAGED:
        kept = Collected()
        reading = _Reading(source, sync, rules_of, "kept", True, {}, steps)
        return _publish_found(context, reading, kept, gather=lambda: collect_kept(source, kept))
    known = known_files(source)
    with ReadSession(
        hosts=host_configs(),
        known=known,
        cancelled=context.stopped,
        gate=ConnectionGate(cancelled=context.stopped),
    ) as session:
        reading = _Reading(source, sync, rules_of, session.fingerprint, force, known, steps)
        try:
            outcome, found = _compare_and_publish(context, reading, description, registry, session)
            found.let_go()
            return outcome, found
        except CancelledError:
            context.checkpoint()  # tells a cancelled job from one that another worker has now
            raise


class _Reading:
    """What is known of a source, and for how long that counts.

    ``Source.version`` has the fingerprint of everything that processing depends on, and the version last read. While a
    difference is written it names the sync instead, and whoever changes entities of a source from outside empties it:
    in both cases what is known of the files may be wrong, and the next reading processes all of them.
    """

    def __init__(
        self,
        source: Source,
        sync: Sync,
        rules: str,
        reach: str,
        force: bool,
        known: Mapping[str, Known],
        steps: _Steps,
    ) -> None:
        self.source, self.sync, self.force, self.known, self.steps = source, sync, force, known, steps
        self.last = "" if force else source.version
        self.rules, self.fingerprint = rules, f"{rules}.{reach}"
        self._standing = source.version
        self.partial = self.last.startswith(f"{self.fingerprint}:")

    def earlier(self) -> dict[str, FileRecord] | None:
        """What came of the files the last time; None where it has to be found out anew."""
        if not self.partial:
            return None
        return {url: FileRecord.decode(place.record) for url, place in self.known.items() if place.record}

    def is_last(self, version: str | None) -> bool:
        """Whether this is what was read, under the same rules. Other connections alone are no reason to read again."""
        return bool(version) and self.last.startswith(f"{self.rules}.") and self.last.endswith(f":{version}")

    def begin(self) -> None:
        """From now on what is known of the files may be wrong, until :meth:`end`."""
        mark = f"{WRITING}{self.sync.pk}"
        if self._standing != mark:
            Source.objects.filter(pk=self.source.pk, version=self._standing).update(version=mark)
            self._standing = mark

    def end(self, version: str | None) -> None:
        """What was written is what was read. None: read everything again the next time."""
        settled = "" if version is None else f"{self.fingerprint}:{version}"
        Source.objects.filter(pk=self.source.pk, version=self._standing).update(version=settled)


def _compare_and_publish(
    context: JobContext,
    reading: _Reading,
    description: SourceDescription,
    registry: KindRegistry,
    session: ReadSession,
) -> tuple[_Outcome, Collected]:
    source, sync, steps = reading.source, reading.sync, reading.steps
    steps.end("known")
    version = session.version(description.root)
    if reading.is_last(version):
        return _Outcome(
            Sync.State.UNCHANGED, Counts(), problems=source.problem_set.unrestricted(REASON).count()
        ), Collected()

    def progress(done: int, total: int, text: str) -> None:
        context.progress(done, total, text)

    steps.end("asked")
    if not reading.partial:
        reading.begin()
    remote: RemoteReading | None = None
    if source.type == Source.Type.REMOTE:
        found, remote = read_remote(
            source,
            description,
            session=session,
            registry=registry,
            fingerprint=reading.rules,
            force=reading.force,
            progress=progress,
        )
    else:
        earlier = reading.earlier()
        found = collect(description, session=session, registry=registry, progress=progress, earlier=earlier)
        found.version = version or session.composite_version()
    steps.end("read")
    again = remote is not None and remote.fetched > 0  # somebody deleted by hand what it still lists
    if reading.is_last(found.version) and not again:
        if remote is not None:
            with context.writing():
                remember_remote(source, sync, remote, found, None)
        reading.end(found.version)
        return _Outcome(
            Sync.State.UNCHANGED, Counts(), problems=source.problem_set.unrestricted(REASON).count()
        ), found
    return _publish_found(context, reading, found, session=session, remote=remote)


def _publish_found(
    context: JobContext,
    reading: _Reading,
    found: Collected,
    *,
    session: ReadSession | None = None,
    remote: RemoteReading | None = None,
    gather: Callable[[], None] = lambda: None,
) -> tuple[_Outcome, Collected]:
    """Write what was read, and the records of it.

    Args:
        gather: fills ``found`` before each comparison, where it comes from the database itself.
    """
    source, sync, steps = reading.source, reading.sync, reading.steps

    def progress(done: int, total: int, text: str) -> None:
        context.progress(done, total, text)

    held: Held | None = None

    def look(plan: Plan) -> None:
        nonlocal held
        held = hold_back(source, plan)
        steps.end("compared")
        if plan.has_work():
            reading.begin()

    def inherit(heirs: set[UUID]) -> None:
        """Queue their readings in the transaction that makes them needed: a worker that dies after it loses none."""
        for heir in Source.objects.unrestricted(REASON).filter(pk__in=heirs, enabled=True):
            request_sync(actor=context.viewer, source=heir, force=True)

    counts, plan = publish(
        source=source,
        found=found,
        cause=Cause(sync_id=sync.pk),
        writing=context.writing,
        progress=progress,
        look=look,
        inherit=inherit,
        gather=gather,
    )
    if counts.added >= MANY:
        refresh_statistics(Entity, EntityDocument, Relation, EntityAttribute, AttributeValue)
    steps.end("written")
    with context.writing():
        note_held(source, held, sync.pk)
        heirs = _lost_for_nothing(source, plan)
        problems = replace_problems(
            source=source, findings=findings_of(source, found, plan, held), now=timezone.now()
        )
        replace_contenders(source=source, plan=plan)
        declared = None if found.unread or found.broken or found.failed else found.references()
        note_claims(source, lost=plan.lost, declared=declared, now=sync.started_at)
        if session is not None:
            places = session.files_to_remember()
            remember_files(source=source, known=reading.known, places=places, found=found)
        if remote is not None:
            remember_remote(source, sync, remote, found, plan)
        if source.may_define_people:
            define_people(actor=context.viewer, source=source, anew=not found.partial)
        if counts.anything:
            _announce(context, source, sync, counts)
        # What could not be read is worth another look, also when nothing of the rest changes.
        anew = found.again or bool(heirs)
        reading.end(None if anew else "" if found.unread else found.version)
        inherit(heirs)
    steps.end("recorded")
    whole = found.unread.get("")
    state = Sync.State.FAILED if whole else Sync.State.PARTIAL if problems else Sync.State.DONE
    counts_as = (
        Sync.Outcome.SUCCESS if not whole else Sync.Outcome.OUTAGE if found.outage else Sync.Outcome.FAILED
    )
    return _Outcome(state, counts, problems, whole or "", counts_as, steps.found), found


def _lost_for_nothing(source: Source, plan: Plan) -> set[UUID]:
    """The source itself where an entity that another one had when we compared has gone since."""
    if not plan.lost:
        return set()
    wait_for_publications()
    kept = sum(
        Entity.objects.unrestricted(REASON).filter(ref__in=part).count() for part in chunks(list(plan.lost))
    )
    return {source.pk} if kept < len(plan.lost) else set()


def _announce(context: JobContext, source: Source, sync: Sync, counts: Counts) -> None:
    data = {
        "source": str(source.pk), "sync": sync.pk, "added": counts.added, "changed": counts.changed,
        "removed": counts.removed, "missing": counts.missing,
    }  # fmt: skip
    record(actor=context.job.actor, verb="catalog.source.synced", target=source, after=data)
    refs = {"changed": counts.changed_refs[:1_000], "removed": counts.removed_refs[:1_000]}
    publish_events(events=[("catalog.source.synced", source.name, {**data, **refs})])


def _close(source: Source, sync: Sync, outcome: _Outcome, found: Collected) -> None:
    """Write what came of a reading, once: the record, the state of its source and the counters together.

    A record that somebody closed meanwhile, because this worker seemed dead, stays as it is.
    """
    now = timezone.now()
    running = Sync.objects.unrestricted(REASON).filter(pk=sync.pk, state=Sync.State.RUNNING)
    entities = Entity.objects.unrestricted(REASON).filter(source=source).count()
    with transaction.atomic():
        closed = running.update(
            state=outcome.state,
            outcome=outcome.counts_as,
            finished_at=now,
            version=found.version[:200],
            files=found.files,
            documents=found.documents,
            entities=entities,
            added=outcome.counts.added,
            changed=outcome.counts.changed,
            removed=outcome.counts.removed,
            problems=outcome.problems,
            error=outcome.error,
        )
        if closed:
            changes: dict[str, object] = {"state": outcome.state, "last_error": outcome.error}
            if outcome.counts_as == Sync.Outcome.SUCCESS:
                changes["last_success_at"] = now
            Source.objects.filter(pk=source.pk).update(**changes)
            note_outcome(source=source, outcome=outcome.counts_as, error=outcome.error, now=now)
    forget_old_tombstones()
    forget_old_versions()
    old = (
        Sync.objects.unrestricted(REASON)
        .filter(source=source)
        .order_by("-started_at")
        .values_list("pk", flat=True)
    )
    Sync.objects.unrestricted(REASON).filter(pk__in=list(old[KEPT_SYNCS : KEPT_SYNCS + 200])).delete()
