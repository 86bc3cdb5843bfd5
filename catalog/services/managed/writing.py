"""Writing entities that are kept here. Each write is one transaction: text, entity, version, event, audit record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from django.db import transaction
from django.utils import timezone

from catalog.exceptions import DeclaredElsewhereError
from catalog.ingest.collected import Declared
from catalog.ingest.problems import Problem as Finding
from catalog.ingest.problems import Rejected
from catalog.models import Contender, Entity, KeptDocument, Problem, Revision, Source, Tombstone
from catalog.refs import EntityRef
from catalog.services.managed.documents import Kept, as_written, process_kept, system_field
from catalog.services.managed.merging import merge_patch
from catalog.services.managed.places import DEFAULT_NAME, managed_source
from catalog.services.managed.preconditions import NO_CONDITION, Precondition
from catalog.services.publishing.cause import Cause
from catalog.services.publishing.compare import content_hash
from catalog.services.publishing.plan import COLUMNS, REASON, Plan, Row
from catalog.services.publishing.publish import Counts, apply_plans
from catalog.services.publishing.withdraw import forget_text
from catalog.services.sources import request_sync
from catalog.services.versions import wait_for_publications
from portal.access.viewer import CURATE, Viewer
from portal.audit.services import record
from portal.core.errors import ConflictError, InputError, NotFoundError

Outcome = Literal["created", "changed", "unchanged", "renamed"]
TextOf = Callable[["Entity | None"], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Written:
    """What a write came to.

    Attributes:
        entity: with its document.
        took_over: name of the source that had it before and that this one outranks; empty where none had.
        before: number of the version that this write ended; None where it ended none.
    """

    entity: Entity
    outcome: Outcome
    warnings: tuple[Finding, ...] = ()
    took_over: str = ""
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion came to.

    Attributes:
        tombstone: what brings the entity back; None where only a text was withdrawn that another source outranks.
        declared_by: that other source.
    """

    ref: str
    tombstone: Tombstone | None = None
    declared_by: str = ""


@transaction.atomic
def put_entity(
    *,
    actor: Viewer,
    ref: EntityRef,
    document: Mapping[str, Any],
    when: Precondition = NO_CONDITION,
    source_name: str = "",
) -> Written:
    """Make the entity ``ref`` say what ``document`` says; create it where it is not there.

    What the catalog fills in is left out of ``document``, so that what was read can be changed and sent back.

    Args:
        when: needed only where an entity would change.
        source_name: the source of type ``managed`` that shall keep it; made where there is none.

    Raises:
        InputError: the pipeline refuses the document; ``details["problems"]`` has everything that is wrong.
        DeclaredElsewhereError: a source declares it that is not outranked.
        PreconditionFailedError, PreconditionRequiredError: see ``when``.
    """
    uid = document["metadata"].get("uid") if isinstance(document.get("metadata"), dict) else None
    text = as_written(document)

    def text_of(entity: Entity | None) -> Mapping[str, Any]:
        if uid and entity is not None and uid != str(entity.uid):
            raise ConflictError(
                f"{entity.ref} is another entity by now: its uid is {entity.uid}, not {uid}.",
                code="catalog.write.uid",
                remedy="Read it again, or leave metadata.uid out.",
            )
        return text

    return _write(actor, ref.canonical, text_of, when, source_name)


@transaction.atomic
def patch_entity(
    *, actor: Viewer, ref: EntityRef, patch: Mapping[str, Any], when: Precondition = NO_CONDITION
) -> Written:
    """Apply a merge patch (RFC 7396) to the text of an entity that is kept here, or that nobody declares any more.

    Raises:
        NotFoundError: it is not there. InputError: the patch names what the catalog fills in. And as ``put_entity``.
    """
    if place := system_field(patch):
        raise InputError(
            f"{place} is filled in by the catalog.",
            code="catalog.write.system-field",
            remedy="Leave it out of the patch.",
            details={"path": place},
        )

    def text_of(entity: Entity | None) -> Mapping[str, Any]:
        if entity is None:
            raise NotFoundError(f"Entity not found: {ref.canonical}")
        merged: Mapping[str, Any] = merge_patch(present_text(entity), patch)
        return merged

    # A patch names what it changes, so it needs no condition.
    return _write(actor, ref.canonical, text_of, when, "", unconditional=True)


@transaction.atomic
def restore_revision(
    *, actor: Viewer, entity: Entity, number: int, when: Precondition = NO_CONDITION
) -> Written:
    """Write what an earlier version said as a new version. The uid stays, and so does the name.

    Args:
        entity: kept here, or declared by nobody any more.
        number: of the version, as its history names it.

    Raises:
        NotFoundError: there is no such version. And as ``put_entity``.
    """

    def text_of(present: Entity | None) -> Mapping[str, Any]:
        if present is None or present.uid != entity.uid:
            raise NotFoundError(f"Entity not found: {entity.ref}")
        if number == present.revision:
            return present_text(present)
        rows = Revision.objects.visible_to(actor).filter(uid=present.uid, number=number)
        text = rows.values_list("text", flat=True).first()
        if text is None:
            raise NotFoundError(
                f"{present.ref} has no version {number} (any more).", code="catalog.revision.unknown"
            )
        return _named_as(as_written(orjson.loads(text)), present_text(present))

    return _write(actor, entity.ref, text_of, when, "", unconditional=True, note=f"version {number} again")


@transaction.atomic
def delete_entity(*, actor: Viewer, ref: EntityRef, when: Precondition = NO_CONDITION) -> Deleted:
    """Remove an entity that is kept here or that nobody declares. Its tombstone brings it back.

    Where another source has it and a text of it waits here, that text is withdrawn.

    Raises:
        NotFoundError: it is not there. DeclaredElsewhereError: a source declares it, and nothing of it is kept here.
        PreconditionFailedError, PreconditionRequiredError: see ``when``.
    """
    wait_for_publications()
    entity = _present(actor, ref.canonical)
    when.check(ref.canonical, entity.etag if entity else None)
    if entity is None:
        raise NotFoundError(f"Entity not found: {ref.canonical}")
    if entity.source is not None and entity.source.type != Source.Type.MANAGED:
        return _withdraw_text(actor, entity, entity.source, when)
    when.require(entity.ref, entity.etag)
    row = _row(entity)
    counts, _ = apply_plans(
        plan_of=lambda: Plan(removed=[row] if _exists(row) else []),
        declared={},
        source=entity.source,
        cause=Cause(actor.actor, removal=Tombstone.Reason.DELETED),
        writing=transaction.atomic,
        progress=_silent,
    )
    if entity.source is not None:
        forget_text(sources=[entity.source.pk], ref=entity.ref)
    before = {"ref": entity.ref, "uid": str(entity.uid), "etag": entity.etag}
    record(actor=actor.actor, verb="catalog.entity.removed", target=entity, before=before)
    _read_again(actor, counts)
    stones = Tombstone.objects.unrestricted(REASON).filter(uid=entity.uid).select_related("revision")
    return Deleted(entity.ref, stones.order_by("-pk").first())


@transaction.atomic
def rename_entity(
    *,
    actor: Viewer,
    ref: EntityRef,
    name: str = "",
    namespace: str = "",
    when: Precondition = NO_CONDITION,
) -> Written:
    """Give an entity that is kept here another name. It keeps its uid and history; portal addresses lead on.

    Raises:
        NotFoundError: it is not there. ConflictError: the new name is taken. And as ``put_entity``.
    """
    wait_for_publications()
    entity = _present(actor, ref.canonical)
    when.check(ref.canonical, entity.etag if entity else None)
    if entity is None:
        raise NotFoundError(f"Entity not found: {ref.canonical}")
    source = entity.source
    if source is None or source.type != Source.Type.MANAGED:
        raise _elsewhere(entity, source, "It is renamed there.")
    text = _renamed_text(present_text(entity), name, namespace)
    metadata = text["metadata"]
    new = EntityRef(text["kind"], metadata.get("namespace", "default"), metadata["name"]).canonical
    if new == entity.ref:  # at most its letter case
        return _write(actor, entity.ref, lambda _: text, when, "", unconditional=True)
    kept = _processed(text, source, new)
    row, declared = _row(entity), kept.declared

    def plan_of() -> Plan:
        if Entity.objects.unrestricted(REASON).filter(ref=new).exists():
            raise ConflictError(
                f"{new} is there already.", code="catalog.write.taken", remedy="Choose another name."
            )
        return Plan(updates=[(row, declared)], hashes={new: content_hash(declared)})

    counts = _publish(actor, source, declared, plan_of)
    forget_text(sources=[source.pk], ref=entity.ref)
    _keep(actor, source, new, kept.text)
    written = _stored(new)
    record(
        actor=actor.actor,
        verb="catalog.entity.renamed",
        target=written,
        before={"ref": entity.ref, "etag": entity.etag},
        after={"ref": new, "etag": written.etag},
    )
    _read_again(actor, counts)
    return Written(written, "renamed", kept.warnings, before=entity.revision)


def present_text(entity: Entity) -> dict[str, Any]:
    """What an entity says, without what the catalog fills in: the text that patches change."""
    kept = KeptDocument.objects.unrestricted(REASON).filter(source=entity.source_id, ref=entity.ref)
    text = kept.values_list("text", flat=True).first() if entity.source_id else None
    written: dict[str, Any] = orjson.loads(text) if text else as_written(orjson.loads(entity.document.text))
    return written


def keep_text(*, actor: Viewer, source: Source, ref: str, document: Mapping[str, Any]) -> None:
    """Keep the text of an entity that comes back, in the transaction that brings it back."""
    _keep(actor, source, ref, orjson.dumps(as_written(document)).decode())


# --- inside


def _write(
    actor: Viewer,
    ref: str,
    text_of: TextOf,
    when: Precondition,
    source_name: str,
    *,
    unconditional: bool = False,
    note: str = "",
) -> Written:
    # From here to the end of the transaction nobody else publishes, so what is read now is what is written over.
    wait_for_publications()
    entity = _present(actor, ref)
    etag = entity.etag if entity else None
    when.check(ref, etag)
    source = _keeper(actor, entity, source_name)
    text = text_of(entity)
    kept = _processed(text, source, ref)
    declared, digest = kept.declared, content_hash(kept.declared)

    def plan_of() -> Plan:
        row = _row_of(ref)
        if (row.id if row else None) != (entity.pk if entity else None):
            # Only where nothing was ever published, and two begin at once.
            raise ConflictError(f"{ref} was written at the same time.", remedy="Send it again.")
        plan = Plan(hashes={ref: digest})
        if row is None:
            plan.inserts, plan.new = [declared], {ref}
        elif row.source_id != source.pk or row.content_hash != digest or row.has_errors:
            plan.updates = [(row, declared)]
        elif (row.url, row.state) != (declared.url, Entity.State.ACTIVE):
            plan.moved = [(row, declared)]
        if entity is not None and etag is not None and not unconditional and plan.has_work():
            when.require(ref, etag)
        return plan

    counts = _publish(actor, source, declared, plan_of)
    if not counts.anything and entity is not None:
        return Written(entity, "unchanged", kept.warnings)
    _keep(actor, source, ref, kept.text)
    # What a reading of this source found wrong with it, or lost to others, is settled now.
    Contender.objects.unrestricted(REASON).filter(source=source, entity_ref=ref).delete()
    Problem.objects.unrestricted(REASON).filter(source=source, entity_ref=ref).delete()
    took_over = entity.source.name if entity and entity.source and entity.source_id != source.pk else ""
    written = _stored(ref)
    record(
        actor=actor.actor,
        verb="catalog.entity.written",
        target=written,
        before={"etag": etag, "source": entity.source.name if entity.source else None} if entity else None,
        after={"etag": written.etag, "source": source.name, "revision": written.revision},
        note=note,
    )
    _read_again(actor, counts)
    if source.may_define_people:
        request_sync(actor=actor, source=source, force=True)
    return Written(
        written,
        "changed" if entity else "created",
        kept.warnings,
        took_over,
        entity.revision if entity else None,
    )


def _keeper(actor: Viewer, entity: Entity | None, name: str) -> Source:
    """The source that shall keep an entity, as a sync would decide.

    Raises:
        DeclaredElsewhereError: it is declared by a source that the keeper does not outrank.
    """
    present = entity.source if entity is not None else None
    if present is not None and present.type == Source.Type.MANAGED and name in ("", present.name):
        return managed_source(actor=actor, name=present.name)
    source = managed_source(actor=actor, name=name or DEFAULT_NAME)
    if entity is not None and present is not None and present.priority <= source.priority:
        raise _elsewhere(entity, present, "Change it there, or have a platform admin change the priorities.")
    return source


def _elsewhere(entity: Entity, source: Source | None, remedy: str) -> DeclaredElsewhereError:
    if source is None:
        return DeclaredElsewhereError(
            f"{entity.ref} is declared by nobody any more.",
            code="catalog.write.orphan",
            remedy="PUT it first: then it is kept here.",
        )
    return DeclaredElsewhereError(
        f"{entity.ref} is declared by the source {source.name}, in {entity.url}.",
        remedy=remedy,
        details={"declaredBy": source.name, "url": entity.url},
    )


def _withdraw_text(actor: Viewer, entity: Entity, declared_by: Source, when: Precondition) -> Deleted:
    texts = KeptDocument.objects.unrestricted(REASON).filter(ref=entity.ref)
    keepers = list(texts.values_list("source_id", flat=True))
    if not keepers:
        raise _elsewhere(entity, declared_by, "Remove it there; it goes with the next reading.")
    when.require(entity.ref, entity.etag)
    forget_text(sources=keepers, ref=entity.ref)
    record(actor=actor.actor, verb="catalog.entity.text-withdrawn", target=entity, before={"ref": entity.ref})
    return Deleted(entity.ref, declared_by=declared_by.name)


def _processed(text: Mapping[str, Any], source: Source, ref: str) -> Kept:
    try:
        return process_kept(text, source=source, ref=ref)
    except Rejected as rejected:
        first = rejected.problems[0]
        raise InputError(
            "; ".join(problem.message for problem in rejected.problems)[:2_000],
            code=first.rule,
            remedy=first.remedy,
            details={"problems": [problem_body(problem) for problem in rejected.problems]},
        ) from rejected


def problem_body(problem: Finding) -> dict[str, str]:
    """A problem as answers tell it."""
    return {
        "rule": problem.rule,
        "path": problem.path,
        "message": problem.message,
        "remedy": problem.remedy,
        "severity": problem.severity,
    }


def _publish(actor: Viewer, source: Source, declared: Declared, plan_of: Callable[[], Plan]) -> Counts:
    counts, _ = apply_plans(
        plan_of=plan_of,
        declared={declared.ref: declared},
        source=source,
        cause=Cause(actor.actor),
        writing=transaction.atomic,
        progress=_silent,
    )
    return counts


def _silent(done: int, total: int, text: str) -> None:
    """Nobody watches the progress of one entity."""


def _present(actor: Viewer, ref: str) -> Entity | None:
    """The entity that has the reference now, with source and document.

    Raises:
        ConflictError: there is one that this person may not change.
    """
    rows = Entity.objects.visible_to(actor, CURATE).filter(ref=ref)
    entity: Entity | None = rows.select_related("source", "document").first()
    if entity is None and _row_of(ref) is not None:
        raise ConflictError(f"{ref} is taken.", code="catalog.write.taken", remedy="Choose another name.")
    return entity


def _row_of(ref: str) -> Row | None:
    values = Entity.objects.unrestricted(REASON).filter(ref=ref).values_list(*COLUMNS).first()
    return Row(*values) if values else None


def _row(entity: Entity) -> Row:
    return Row(**{column: getattr(entity, column) for column in COLUMNS})


def _exists(row: Row) -> bool:
    return bool(Entity.objects.unrestricted(REASON).filter(pk=row.id).exists())


def _stored(ref: str) -> Entity:
    stored: Entity = Entity.objects.unrestricted(REASON).select_related("source", "document").get(ref=ref)
    return stored


def _keep(actor: Viewer, source: Source, ref: str, text: str) -> None:
    KeptDocument.objects.unrestricted(REASON).update_or_create(
        source=source,
        ref=ref,
        defaults={"text": text, "written_at": timezone.now(), "written_by": actor.actor[:200]},
    )


def _read_again(actor: Viewer, counts: Counts) -> None:
    if counts.heirs:
        for heir in Source.objects.unrestricted(REASON).filter(pk__in=counts.heirs, enabled=True):
            request_sync(actor=actor, source=heir, force=True)


def _named_as(text: dict[str, Any], present: Mapping[str, Any]) -> dict[str, Any]:
    """``text`` under the kind and name that the entity has now."""
    metadata = {**text["metadata"], "name": present["metadata"]["name"]}
    metadata.pop("namespace", None)
    if "namespace" in present["metadata"]:
        metadata["namespace"] = present["metadata"]["namespace"]
    return {**text, "kind": present["kind"], "metadata": metadata}


def _renamed_text(text: dict[str, Any], name: str, namespace: str) -> dict[str, Any]:
    if not name and not namespace:
        raise InputError("A rename needs a name or a namespace.", code="catalog.write.rename")
    metadata = {**text["metadata"]}
    if name:
        metadata["name"] = name
    if namespace:
        metadata["namespace"] = namespace
    return {**text, "metadata": metadata}
