"""One document to one entity: the steps of stock's processing, without reading what a Location points to.

envelope, placeholders, annotations of the place, structure, namespace, foreign root fields, formats, kind and its
schema, targets of a Location, relations. Stock stops at the first violation; here all are told, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from catalog.ingest.annotations import annotate, check_vocabulary
from catalog.ingest.envelope import validate_envelope
from catalog.ingest.formats import check_formats
from catalog.ingest.hosts import Hosts
from catalog.ingest.locations import Presence, presence_of, targets_of
from catalog.ingest.placeholders import Placeholders, ReadPlaceholder
from catalog.ingest.problems import Fix, Problem, Rejected, pointer, shorten
from catalog.ingest.relations import Relation, relations_of, sort_lists
from catalog.ingest.rules import AllowRules
from catalog.ingest.schema import check_kind_schema, check_structure
from catalog.kinds import KindRegistry, KindVersion
from catalog.refs import DEFAULT_NAMESPACE, LocationRef, canonical


@dataclass(frozen=True, slots=True)
class Processed:
    """A valid entity.

    Args:
        ref: canonical reference.
        kind, namespace, name: as the author wrote them.
        entity: the document as stock returns it, still without relations, uid and (unless written) etag. Parts of it
            may be shared with the document: do not change it in place.
        relations: both directions, distinct and sorted.
        targets: of a Location: where to read on.
        presence: of a Location: whether a missing target is an error.
        placeholders: files that were read into it.
        warnings: of severity ``warning``.
    """

    ref: str
    kind: str
    namespace: str
    name: str
    entity: dict[str, Any]
    relations: tuple[Relation, ...]
    targets: tuple[LocationRef, ...] = ()
    presence: Presence = "required"
    placeholders: tuple[LocationRef, ...] = ()
    warnings: tuple[Problem, ...] = ()


def process_document(
    value: Any,
    *,
    location: LocationRef,
    origin: LocationRef,
    registry: KindRegistry,
    hosts: Hosts,
    read_placeholder: ReadPlaceholder,
    rules: AllowRules | None = None,
) -> Processed:
    """Validates and completes one entity.

    Args:
        value: what the document says.
        location: the file it stands in.
        origin: the registration that led to that file.
        registry: known kinds and annotations.
        hosts: known source code hosts.
        read_placeholder: returns the bytes of a file that a placeholder names, or raises a ``CallboardError``.
        rules: which kinds the source may bring; None for all.

    Raises:
        Rejected: with every problem; its first is the one that stock reports.
    """
    problems = validate_envelope(value)
    if problems:
        raise Rejected(problems)
    try:
        return _process(value, location, origin, registry, hosts, read_placeholder, rules)
    except RecursionError:
        raise Rejected([_not_storable("it is nested too deeply")]) from None


def _process(
    value: dict[str, Any],
    location: LocationRef,
    origin: LocationRef,
    registry: KindRegistry,
    hosts: Hosts,
    read_placeholder: ReadPlaceholder,
    rules: AllowRules | None,
) -> Processed:
    written: dict[str, Any] = value["metadata"]
    kind_name: str = value["kind"]
    namespace: str = written.get("namespace", DEFAULT_NAMESPACE)
    ref = canonical(kind_name, namespace, written["name"])
    problems: list[Problem] = []
    if rules is not None and not rules.allows(value, origin):
        problems.append(_not_allowed(ref, kind_name, origin))
    placeholders = Placeholders(location, hosts, read_placeholder)
    text, unstorable = _as_json(value)
    # The text tells at once whether there is anything to replace.
    entity = placeholders.replace(value) if unstorable or b'"$' in text or b'"__proto__"' in text else value
    if placeholders.reads and not unstorable:
        _, unstorable = _as_json(entity)
    problems += unstorable
    unreplaced = [problem.path.rpartition("/")[0] for problem in placeholders.problems]
    problems += placeholders.problems

    metadata = annotate(entity["metadata"], location, origin, hosts)
    metadata.setdefault("namespace", namespace)
    entity = {**entity, "metadata": metadata}
    found = check_structure(entity)
    found += [_foreign_field(name) for name in ("relations", "status") if name in entity]
    found += check_formats(entity)
    kind = registry.lookup(kind_name, entity["apiVersion"])
    relations: list[Relation] = []
    targets: list[LocationRef] = []
    if kind is None:
        found.append(_unknown_kind(ref, entity, registry))
    else:
        spec = entity.get("spec")
        if "spec" not in entity or isinstance(spec, dict):
            entity = sort_lists(entity, kind)
            schema_problems = check_kind_schema(entity, *kind.schema_for((spec or {}).get("type")))
            found += schema_problems
            found += _targets(entity, kind, location, hosts, targets) if not schema_problems else []
            relations, bad_refs = relations_of(ref, namespace, entity, kind)
            # What the schema has already complained about is not said twice.
            known = {problem.path for problem in schema_problems}
            found += [problem for problem in bad_refs if problem.path not in known]
    problems += [
        p for p in found if not any(p.path == at or p.path.startswith(f"{at}/") for at in unreplaced)
    ]
    if problems:
        raise Rejected(problems, ref)
    return Processed(
        ref,
        kind_name,
        namespace,
        metadata["name"],
        entity,
        tuple(relations),
        tuple(targets),
        presence_of(entity) if targets else "required",
        tuple(placeholders.reads),
        tuple(check_vocabulary(written, registry)),
    )


def _targets(
    entity: dict[str, Any], kind: KindVersion, location: LocationRef, hosts: Hosts, targets: list[LocationRef]
) -> Iterable[Problem]:
    if kind.kind != "Location":
        return []
    places, problems = targets_of(entity, location, hosts)
    targets += places
    return problems


def _not_allowed(ref: str, kind: str, origin: LocationRef) -> Problem:
    return Problem(
        "catalog.kind.not-allowed",
        f"Entity {ref}, originated at {origin}, is not of an allowed kind for that location",
        "/kind",
        shorten(kind),
        error_name="NotAllowedError",
        remedy=f"Have a platform admin allow {kind} for this source.",
    )


def _foreign_field(name: str) -> Problem:
    return Problem(
        "catalog.structure.foreign-field",
        f"Unknown field {name}",
        pointer(name),
        shorten(name),
        remedy=f"Remove {name}: the catalog fills it in.",
        at_key=True,
    )


def _unknown_kind(ref: str, entity: dict[str, Any], registry: KindRegistry) -> Problem:
    kind, api_version = entity["kind"], entity["apiVersion"]
    message = (
        f"No processor recognized the entity {ref} as valid, possibly caused by a foreign kind or apiVersion:"
        f" kind {shorten(kind)} with apiVersion {shorten(api_version)}"
    )
    versions = registry.kinds[kind].api_versions if kind in registry.kinds else ()
    if versions:
        return Problem(
            "catalog.kind.unknown-version",
            message,
            "/apiVersion",
            shorten(api_version),
            remedy=f"{kind} is known as {', '.join(versions)}.",
            fix=Fix("replace", versions[0]),
        )
    similar = registry.similar_kind(kind)
    known = ", ".join(sorted(registry.kinds))
    return Problem(
        "catalog.kind.unknown",
        message,
        "/kind",
        shorten(kind),
        remedy=f"Write {similar}." if similar else f"Known kinds: {known}. A platform admin can add others.",
        fix=Fix("replace", similar) if similar else None,
    )


def _as_json(entity: dict[str, Any]) -> tuple[bytes, list[Problem]]:
    """The entity as JSON that databases take: no NUL, no half surrogates, no endless numbers, not too deep."""
    try:
        text = orjson.dumps(entity)
    except orjson.JSONEncodeError as error:
        return b"", [_not_storable(str(error))]
    if b"\\u0000" in text and b"\\u0000" in text.replace(b"\\\\", b""):
        return text, [_not_storable("a text holds the character NUL")]
    return text, []


def _not_storable(reason: str) -> Problem:
    return Problem(
        "catalog.document.not-storable",
        f"The entity cannot be stored: {reason}",
        remedy="Remove characters that are not text, or flatten the structure.",
    )
