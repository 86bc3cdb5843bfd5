"""Reading a source: from its files to the written difference, one record at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import orjson
from django.db.models import Q
from django.utils import timezone

from catalog.ingest.collect import SourceDescription, collect
from catalog.ingest.collected import Collected
from catalog.ingest.problems import Problem as Finding
from catalog.ingest.sources import ReadSession
from catalog.kinds import KindRegistry
from catalog.models import Contender, Entity, EntityDocument, Source, SourceFile, Sync
from catalog.selectors import known_versions
from catalog.services.kinds import current_kinds_version, current_registry
from catalog.services.managed.reading import collect_kept
from catalog.services.problems import replace_problems
from catalog.services.publishing import Counts, publish
from catalog.services.publishing.cause import Cause
from catalog.services.publishing.compare import Plan, chunks
from catalog.services.publishing.revisions import forget_old_versions
from catalog.services.removals import Held, forget_old_tombstones, hold_back, note_held
from catalog.services.sources import people_source, request_sync
from catalog.services.sources_file import declared_rules
from catalog.services.versions import wait_for_publications
from portal.access.services import PersonData, sync_principals
from portal.audit.services import record
from portal.connections.gates import ConnectionGate
from portal.connections.selectors import host_configs
from portal.core.errors import CallboardError, NotFoundError
from portal.core.process import CancelledError
from portal.events.services import publish as publish_events
from portal.jobs.models import Job
from portal.jobs.running import JobContext

REASON = "a sync reads for the system"
KEPT_SYNCS = 50
TURN_SECONDS = 0.1
# Raised when processing itself changes, so that every source is compared anew after an upgrade.
ENGINE = 1


@dataclass(frozen=True, slots=True)
class _Outcome:
    state: str
    counts: Counts
    problems: int = 0
    error: str = ""


def sync_source(*, context: JobContext, source_id: UUID, force: bool = False) -> dict[str, object]:
    """Read one source and publish the difference. One job at a time reads a source; others wait for their turn.

    Args:
        force: compare everything, also where the version is the one last read.

    Raises:
        NotFoundError: the source is gone.
        CallboardError: nothing of it could be read; what it declared before stays, marked missing.
    """
    source = Source.objects.unrestricted(REASON).filter(pk=source_id).first()
    if source is None:
        raise NotFoundError(f"There is no source {source_id} any more.", code="catalog.source.gone")
    with _turn(context, source):
        return _sync(context, source, force=force)


@contextmanager
def _turn(context: JobContext, source: Source) -> Iterator[None]:
    """Have the source to oneself, so that an older reading never publishes over a newer one.

    A job that died does not block: its mark is taken away as soon as the job is no longer running.
    """
    me, rows = context.job.pk, Source.objects.unrestricted(REASON).filter(pk=source.pk)
    while not rows.filter(Q(reading_job=None) | Q(reading_job=me)).update(reading_job=me):
        context.checkpoint()
        other = rows.values_list("reading_job", flat=True).first()
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
        rows.filter(reading_job=me).update(reading_job=None)


def _sync(context: JobContext, source: Source, *, force: bool) -> dict[str, object]:
    started = timezone.now()
    sync = Sync.objects.create(
        source=source, job_id=context.job.pk, actor=context.job.actor, started_at=started
    )
    Source.objects.filter(pk=source.pk).update(state="running", last_sync_at=started)
    try:
        outcome, found = _read_and_publish(context, source, sync, force=force)
    except BaseException as error:
        message = error.message if isinstance(error, CallboardError) else f"{type(error).__name__}: {error}"
        _close(source, sync, _Outcome(Sync.State.FAILED, Counts(), error=message), Collected())
        raise
    _close(source, sync, outcome, found)
    seconds = round((timezone.now() - started).total_seconds(), 3)
    return {
        "seconds": seconds,
        "sync": sync.pk, "state": outcome.state, "entities": len(found.declared), "added": outcome.counts.added,
        "changed": outcome.counts.changed, "removed": outcome.counts.removed, "problems": outcome.problems,
    }  # fmt: skip


def _read_and_publish(
    context: JobContext, source: Source, sync: Sync, *, force: bool
) -> tuple[_Outcome, Collected]:
    registry = current_registry()
    rules = None if source.allowed_kinds else declared_rules()
    description = SourceDescription.of(source, registry, rules=rules)
    fingerprint = f"{ENGINE}.{current_kinds_version()}.{description.fingerprint}"
    if source.type == Source.Type.MANAGED:
        kept = Collected()
        return _publish_found(
            context, source, sync, kept, fingerprint, gather=lambda: collect_kept(source, kept)
        )
    with ReadSession(
        hosts=host_configs(),
        known=known_versions(source),
        cancelled=context.stopped,
        gate=ConnectionGate(cancelled=context.stopped),
    ) as session:
        try:
            last = "" if force else source.version
            return _compare_and_publish(
                context, source, sync, description, registry, session, fingerprint, last
            )
        except CancelledError:
            context.checkpoint()  # tells a cancelled job from one that another worker has now
            raise


def _compare_and_publish(
    context: JobContext,
    source: Source,
    sync: Sync,
    description: SourceDescription,
    registry: KindRegistry,
    session: ReadSession,
    fingerprint: str,
    last: str,
) -> tuple[_Outcome, Collected]:
    version = session.version(description.root)
    if version and f"{fingerprint}:{version}" == last:
        return _Outcome(
            Sync.State.UNCHANGED, Counts(), problems=source.problem_set.unrestricted(REASON).count()
        ), Collected()

    def progress(done: int, total: int, text: str) -> None:
        context.progress(done, total, text)

    found = collect(description, session=session, registry=registry, progress=progress)
    found.version = version or session.composite_version()
    if found.version and f"{fingerprint}:{found.version}" == last:
        return _Outcome(
            Sync.State.UNCHANGED, Counts(), problems=source.problem_set.unrestricted(REASON).count()
        ), found
    return _publish_found(context, source, sync, found, fingerprint, session=session)


def _publish_found(
    context: JobContext,
    source: Source,
    sync: Sync,
    found: Collected,
    fingerprint: str,
    *,
    session: ReadSession | None = None,
    gather: Callable[[], None] = lambda: None,
) -> tuple[_Outcome, Collected]:
    def progress(done: int, total: int, text: str) -> None:
        context.progress(done, total, text)

    held: Held | None = None

    def look(plan: Plan) -> None:
        nonlocal held
        held = hold_back(source, plan)

    counts, plan = publish(
        source=source,
        found=found,
        cause=Cause(sync_id=sync.pk),
        writing=context.writing,
        progress=progress,
        look=look,
        gather=gather,
    )
    with context.writing():
        note_held(source, held, sync.pk)
        heirs = counts.heirs | _lost_for_nothing(source, plan)
        problems = replace_problems(
            source=source, findings=_findings(source, found, plan, held), now=timezone.now()
        )
        _replace_contenders(source, plan)
        if session is not None:
            _remember_files(source, session)
        if source.may_define_people:
            _define_people(context, source)
        if counts.anything:
            _announce(context, source, sync, counts)
        # What could not be read is worth another look, also when nothing of the rest changes.
        settled = "" if found.unread or source.pk in heirs else f"{fingerprint}:{found.version}"
        Source.objects.filter(pk=source.pk).update(version=settled)
        for heir in Source.objects.unrestricted(REASON).filter(pk__in=heirs, enabled=True):
            request_sync(actor=context.viewer, source=heir, force=True)
    whole = found.unread.get("")
    if whole:
        return _Outcome(Sync.State.FAILED, counts, problems, error=whole), found
    return _Outcome(Sync.State.PARTIAL if problems else Sync.State.DONE, counts, problems), found


def _lost_for_nothing(source: Source, plan: Plan) -> set[UUID]:
    """The source itself where an entity that another one had when we compared has gone since."""
    if not plan.lost:
        return set()
    wait_for_publications()
    kept = sum(
        Entity.objects.unrestricted(REASON).filter(ref__in=part).count() for part in chunks(list(plan.lost))
    )
    return {source.pk} if kept < len(plan.lost) else set()


def _findings(
    source: Source, found: Collected, plan: Plan, held: Held | None
) -> Iterator[tuple[Finding, str, str]]:
    if held is not None:
        finding = Finding(
            rule="catalog.removal.held",
            message=f"{len(held.refs)} of {held.total} entities of {source.name} are no longer declared.",
            remedy="They stay until a curator lets them go or keeps them, on the page of the source.",
            severity="warning",
            url=source.target,
        )
        yield finding, "", ""
    failed = Entity.objects.unrestricted(REASON).filter(ref__in=list(found.failed))
    owners = {ref: owner or "" for ref, owner in failed.values_list("ref", "owner_ref")}
    for declared in found.declared.values():
        for of, kind, target in declared.relations:
            if kind == "ownedBy" and of == declared.ref:
                owners[of] = target
    for finding, ref in found.problems:
        yield finding, ref, owners.get(ref) or found.owners.get((finding.url, finding.document), "")
    for declared, winner in plan.conflicts:
        yield (
            Finding(
                rule="catalog.conflict",
                message=f"{declared.ref} is declared by {winner.url} already, which keeps it.",
                remedy="Rename one of the two, or remove this document.",
                path="/metadata/name",
                value=declared.name,
                error_name="ConflictError",
                url=declared.url,
                document=declared.document,
                line=declared.line,
            ),
            declared.ref,
            owners.get(declared.ref, ""),
        )


def _replace_contenders(source: Source, plan: Plan) -> None:
    Contender.objects.unrestricted(REASON).filter(source=source).delete()
    Contender.objects.bulk_create(
        [
            Contender(
                source=source,
                entity_ref=r.ref,
                parent_ref=r.parent_ref,
                url=r.url,
                document=r.document,
                line=r.line,
                same_file=r.same_file,
            )
            for r in plan.rivals
        ],
        batch_size=500,
    )


def _remember_files(source: Source, session: ReadSession) -> None:
    SourceFile.objects.unrestricted(REASON).filter(source=source).delete()
    SourceFile.objects.bulk_create(
        [
            SourceFile(source=source, url=f.url, version=f.version, digest=f.digest)
            for f in session.files_to_remember()
        ],
        batch_size=500,
    )


def _define_people(context: JobContext, source: Source) -> None:
    """Users and groups of a trusted source also count for permissions (DESIGN, Identity and access)."""
    people, pairs = [], []
    entities = Entity.objects.unrestricted(REASON).filter(source=source, kind__in=("user", "group"))
    for part in chunks(list(entities.values_list("pk", "ref", "kind"))):
        texts = dict(
            EntityDocument.objects.unrestricted(REASON)
            .filter(pk__in=[pk for pk, _, _ in part])
            .values_list("pk", "text")
        )
        for pk, ref, kind in part:
            person, memberships = _person(ref, kind, texts[pk])
            people.append(person)
            pairs += memberships
    sync_principals(
        actor=context.viewer, source=people_source(source.name), principals=people, memberships=pairs
    )


def _person(ref: str, kind: str, text: str) -> tuple[PersonData, list[tuple[str, str]]]:
    document = orjson.loads(text)
    profile = document["spec"].get("profile") or {}
    title = profile.get("displayName") or document["metadata"].get("title") or document["metadata"]["name"]
    pairs = []
    for relation in document["relations"]:
        if relation["type"] in ("memberOf", "childOf"):
            pairs.append((ref, relation["targetRef"]))
        elif relation["type"] in ("hasMember", "parentOf"):
            pairs.append((relation["targetRef"], ref))
    return PersonData(
        kind=kind, ref=ref, title=str(title)[:200], email=str(profile.get("email") or "")[:254]
    ), pairs


def _announce(context: JobContext, source: Source, sync: Sync, counts: Counts) -> None:
    data = {
        "source": str(source.pk), "sync": sync.pk, "added": counts.added, "changed": counts.changed,
        "removed": counts.removed, "missing": counts.missing,
    }  # fmt: skip
    record(actor=context.job.actor, verb="catalog.source.synced", target=source, after=data)
    refs = {"changed": counts.changed_refs[:1_000], "removed": counts.removed_refs[:1_000]}
    publish_events(events=[("catalog.source.synced", source.name, {**data, **refs})])


def _close(source: Source, sync: Sync, outcome: _Outcome, found: Collected) -> None:
    now = timezone.now()
    Sync.objects.filter(pk=sync.pk).update(
        state=outcome.state,
        finished_at=now,
        version=found.version[:200],
        files=found.files,
        documents=found.documents,
        entities=Entity.objects.unrestricted(REASON).filter(source=source).count(),
        added=outcome.counts.added,
        changed=outcome.counts.changed,
        removed=outcome.counts.removed,
        problems=outcome.problems,
        error=outcome.error,
    )
    forget_old_tombstones()
    forget_old_versions()
    failed = outcome.state == Sync.State.FAILED
    changes: dict[str, object] = {"state": outcome.state, "last_error": outcome.error}
    if not failed:
        changes["last_success_at"] = now
    Source.objects.filter(pk=source.pk).update(**changes)
    old = (
        Sync.objects.unrestricted(REASON)
        .filter(source=source)
        .order_by("-started_at")
        .values_list("pk", flat=True)
    )
    Sync.objects.unrestricted(REASON).filter(pk__in=list(old[KEPT_SYNCS : KEPT_SYNCS + 200])).delete()
