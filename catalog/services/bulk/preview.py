"""What a bulk operation would do to each entity, with nothing written."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from catalog.ingest.problems import Rejected
from catalog.models import Entity, EntityDocument, KeptDocument, Source
from catalog.services.bulk.changes import OF_SOURCES, Change, Verb
from catalog.services.bulk.selection import Selection
from catalog.services.managed.documents import as_written, process_kept
from catalog.services.managed.merging import differences, merge_patch
from catalog.services.managed.places import DEFAULT_NAME
from catalog.services.publishing.compare import content_hash
from portal.access.viewer import Viewer

REASON = "texts of entities that were selected for this viewer"
CHANGE, UNCHANGED, REFUSED = "change", "unchanged", "refused"
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of one entity or source.

    Attributes:
        ref: reference of the entity, or name of the source.
        subject: uid or id.
        number: version of the entity now.
        outcome: ``change``, ``unchanged`` or ``refused``.
        reason: why it is refused, or what a source takes with it.
        differences: by path; only where fields change.
    """

    ref: str
    subject: UUID
    number: int | None
    outcome: str
    reason: str = ""
    differences: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """Everything that would happen.

    Attributes:
        token: fits this change, these entities and these versions of them only.
    """

    change: Change
    items: list[Foreseen]
    token: str
    counts: Counter[str] = field(default_factory=Counter)


def preview_bulk(*, actor: Viewer, selection: Selection, change: Change) -> Preview:
    """Look at what would change, entity by entity, by the pipeline that would decide.

    Raises:
        TooLargeError: the selection is too large for one operation.
    """
    entities = selection.entities(actor)
    match change.verb:
        case Verb.SET:
            items = list(_set(entities, change))
        case Verb.DELETE:
            items = [_delete(entity) for entity in entities]
        case _:
            items = list(_sources(actor, entities, change.verb))
    return Preview(change, items, _token(change, entities), Counter(item.outcome for item in items))


def _token(change: Change, entities: Sequence[Entity]) -> str:
    seen = [
        [str(e.uid), e.ref, e.etag if change.verb not in OF_SOURCES else str(e.source_id)] for e in entities
    ]
    body = orjson.dumps([change.as_json(), seen], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(body).hexdigest()


def _foreseen(entity: Entity, outcome: str, reason: str = "", changes: Sequence[Any] = ()) -> Foreseen:
    return Foreseen(entity.ref, entity.uid, entity.revision, outcome, reason, changes)


def _set(entities: Sequence[Entity], change: Change) -> Iterator[Foreseen]:
    keeper = Source.objects.unrestricted(REASON).filter(name=DEFAULT_NAME).first()
    new = keeper or Source(name=DEFAULT_NAME, type=Source.Type.MANAGED)
    for start in range(0, len(entities), _CHUNK):
        part = entities[start : start + _CHUNK]
        writable = [e for e in part if e.source is None or e.source.type == Source.Type.MANAGED]
        texts = _texts(writable)
        for entity in part:
            if entity.uid not in texts:
                yield _foreseen(entity, REFUSED, f"{_declared(entity)}, which would overwrite it.")
            else:
                yield _set_one(entity, texts[entity.uid], change, entity.source or new)


def _set_one(entity: Entity, text: dict[str, Any], change: Change, source: Source) -> Foreseen:
    merged = merge_patch(text, change.patch)
    try:
        kept = process_kept(merged, source=source, ref=entity.ref)
    except Rejected as rejected:
        return _foreseen(entity, REFUSED, "; ".join(p.message for p in rejected.problems)[:500])
    same = entity.source_id == source.pk and entity.content_hash == content_hash(kept.declared)
    if same and not entity.has_errors:
        return _foreseen(entity, UNCHANGED)
    return _foreseen(entity, CHANGE, changes=list(differences(text, merged)))


def _texts(entities: Sequence[Entity]) -> dict[UUID, dict[str, Any]]:
    """What each entity says, by uid; two statements."""
    refs = [e.ref for e in entities]
    kept = {
        (source, ref): text
        for source, ref, text in KeptDocument.objects.unrestricted(REASON)
        .filter(ref__in=refs)
        .values_list("source_id", "ref", "text")
    }
    missing = [e.pk for e in entities if (e.source_id, e.ref) not in kept]
    documents = dict(
        EntityDocument.objects.unrestricted(REASON).filter(pk__in=missing).values_list("pk", "text")
    )
    found: dict[UUID, dict[str, Any]] = {}
    for entity in entities:
        text = kept.get((entity.source_id, entity.ref)) if entity.source_id else None
        if text is not None:
            found[entity.uid] = orjson.loads(text)
        elif entity.pk in documents:
            found[entity.uid] = as_written(orjson.loads(documents[entity.pk]))
    return found


def _delete(entity: Entity) -> Foreseen:
    if entity.source is not None and entity.source.type != Source.Type.MANAGED:
        return _foreseen(entity, REFUSED, f"{_declared(entity)}, which would bring it back.")
    return _foreseen(entity, CHANGE)


def _declared(entity: Entity) -> str:
    return f"Declared by the source {entity.source.name if entity.source else ''}"


def _sources(actor: Viewer, entities: Sequence[Entity], verb: str) -> Iterator[Foreseen]:
    """The sources of these entities, each once, then the entities that have none."""
    chosen = Counter(entity.source_id for entity in entities if entity.source_id)
    sources = {e.source.pk: e.source for e in entities if e.source is not None}
    wholes = {
        pk: Entity.objects.visible_to(actor).filter(source_id=pk).count()
        for pk in (sources if verb == Verb.UNREGISTER else ())
    }
    for source in sorted(sources.values(), key=lambda each: each.name):
        reason = _refusal(source, verb)
        takes = f"{chosen[source.pk]:,} of these entities"
        if source.pk in wholes:
            takes = f"Takes {wholes[source.pk]:,} entities with it, {chosen[source.pk]:,} of them among these"
        yield Foreseen(source.name, source.pk, None, REFUSED if reason else CHANGE, reason or f"{takes}.")
    for entity in entities:
        if entity.source is None:
            yield _foreseen(entity, REFUSED, "Declared by nobody, so there is no source.")


def _refusal(source: Source, verb: str) -> str:
    """Why nothing can be done with a source; empty where something can."""
    if source.type == Source.Type.MANAGED:
        what = (
            "Kept here only: delete the entities instead"
            if verb == Verb.UNREGISTER
            else "Kept here: nothing to read"
        )
        return f"{what}."
    if verb == Verb.UNREGISTER and source.registered_by == Source.RegisteredBy.SETTINGS:
        return "Listed in the file of sources, which would register it again: take it out there."
    if verb == Verb.REFRESH and not source.enabled:
        return "Switched off."
    return ""
