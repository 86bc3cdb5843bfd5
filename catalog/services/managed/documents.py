"""The texts of entities that are kept here: from what somebody sent to what the pipeline made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings

from catalog.ingest.annotations import EDIT_URL, LOCATION, ORIGIN_LOCATION, ORPHAN, SOURCE_LOCATION, VIEW_URL
from catalog.ingest.collected import Declared
from catalog.ingest.description import SourceDescription
from catalog.ingest.hosts import Hosts
from catalog.ingest.problems import Problem, Rejected
from catalog.ingest.process import process_document
from catalog.ingest.sources.reach import known_hosts
from catalog.models import Source
from catalog.refs import EntityRef, LocationRef, RefError, parse_location_ref
from catalog.services.kinds import current_registry
from catalog.services.sources_file import declared_rules
from portal.connections.selectors import host_configs
from portal.core.errors import NotAllowedError

#: What the catalog fills in, at the root of a document and in its metadata.
SYSTEM_ROOT = ("relations", "status")
SYSTEM_METADATA = ("uid", "etag")
SYSTEM_ANNOTATIONS = (LOCATION, ORIGIN_LOCATION, ORPHAN)
_DERIVED = (VIEW_URL, EDIT_URL, SOURCE_LOCATION)


@dataclass(frozen=True, slots=True)
class Kept:
    """A valid entity that is kept here, with what it was made of.

    Attributes:
        text: what is stored of it, as JSON.
        warnings: of the pipeline; they refuse nothing.
    """

    declared: Declared
    text: str
    warnings: tuple[Problem, ...]


def address_of(ref: str) -> str:
    """Where an entity that is kept here is read and written: the place that its annotations name.

    Args:
        ref: canonical.
    """
    kind, _, rest = ref.partition(":")
    return f"{settings.CALLBOARD_BASE_URL}/api/catalog/v1/entities/{kind}/{rest}"


def as_written(document: Mapping[str, Any], *, hosts: Hosts | None = None) -> dict[str, Any]:
    """A document without what the catalog fills in, so that what was read can be changed and sent back.

    Annotations that were derived from the place of a file go with that place.
    """
    written = {key: value for key, value in document.items() if key not in SYSTEM_ROOT}
    metadata = written.get("metadata")
    if not isinstance(metadata, dict):
        return written
    metadata = {key: value for key, value in metadata.items() if key not in SYSTEM_METADATA}
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict):
        derived = _derived_of(annotations.get(LOCATION), hosts)
        metadata["annotations"] = {
            key: value
            for key, value in annotations.items()
            if key not in SYSTEM_ANNOTATIONS and not (key in derived and derived[key] == value)
        }
        if not metadata["annotations"]:
            del metadata["annotations"]
    written["metadata"] = metadata
    return written


def _derived_of(location: object, hosts: Hosts | None) -> dict[str, str]:
    try:
        place = parse_location_ref(location) if isinstance(location, str) else None
    except RefError:
        return {}
    if place is None or place.type != "url":
        return {}
    known = hosts or known_hosts(host_configs())
    try:
        source, edit = known.source_url(place.target), known.edit_url(place.target)
    except ValueError:  # an address that leads out of its folder
        source = edit = None
    return {VIEW_URL: place.target, EDIT_URL: edit or "", SOURCE_LOCATION: f"url:{source}" if source else ""}


def system_field(patch: Mapping[str, Any]) -> str:
    """A field of a patch that the catalog fills in, as a JSON pointer; empty where there is none."""
    for name in SYSTEM_ROOT:
        if name in patch:
            return f"/{name}"
    metadata = patch.get("metadata")
    if isinstance(metadata, dict):
        for name in SYSTEM_METADATA:
            if name in metadata:
                return f"/metadata/{name}"
        annotations = metadata.get("annotations")
        for name in SYSTEM_ANNOTATIONS:
            if isinstance(annotations, dict) and name in annotations:
                return f"/metadata/annotations/{name.replace('/', '~1')}"
    return ""


def named_ref(document: Mapping[str, Any]) -> EntityRef | None:
    """The reference that a document says it has; None where it names none that can be read."""
    metadata = document.get("metadata")
    kind = document.get("kind")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    namespace = metadata.get("namespace", "default") if isinstance(metadata, dict) else None
    if isinstance(kind, str) and isinstance(name, str) and isinstance(namespace, str):
        return EntityRef(kind, namespace, name)
    return None


def process_kept(document: Mapping[str, Any], *, source: Source, ref: str) -> Kept:
    """The whole pipeline over a document that is kept here.

    Args:
        document: without what the catalog fills in.
        ref: the canonical reference it has to have.

    Raises:
        Rejected: with every problem.
    """
    place = LocationRef("url", address_of(ref))
    registry = current_registry()
    rules = None if source.allowed_kinds else declared_rules()
    description = SourceDescription.of(source, registry, rules=rules)
    if str(document.get("kind", "")).lower() == "location":
        raise Rejected([_no_location()], ref)
    processed = process_document(
        dict(document),
        location=place,
        origin=place,
        registry=registry,
        hosts=_NOWHERE,
        read_placeholder=_refuse_placeholder,
        rules=description.rules,
    )
    if processed.ref != ref:
        raise Rejected([_other_name(processed.ref, ref)], ref)
    annotations = processed.entity["metadata"]["annotations"]
    metadata = {
        **processed.entity["metadata"],
        # The address is that of the API: nobody can look at or edit a file there.
        "annotations": {
            key: value for key, value in annotations.items() if key not in _DERIVED or value != place.target
        },
    }
    declared = Declared(
        ref=processed.ref,
        kind=processed.kind,
        namespace=processed.namespace,
        name=processed.name,
        entity={**processed.entity, "metadata": metadata},
        relations=processed.relations,
        url=place.target,
        document=0,
        line=1,
        commit="",
        parent_ref="",
    )
    return Kept(declared, orjson.dumps(dict(document)).decode(), processed.warnings)


#: No address of an entity that is kept here is a file on a source code host.
_NOWHERE = Hosts()


def _refuse_placeholder(place: LocationRef) -> bytes:
    raise NotAllowedError(
        "an entity that is kept here reads no files",
        code="catalog.placeholder.refused",
        remedy="Write the text itself in the place of the placeholder, or declare the entity in a file.",
    )


def _no_location() -> Problem:
    return Problem(
        "catalog.write.location",
        "A Location cannot be kept here: nothing would read what it points to",
        "/kind",
        '"Location"',
        remedy="Register its target as a source: POST /api/catalog/locations, or in admin.",
    )


def _other_name(found: str, ref: str) -> Problem:
    return Problem(
        "catalog.write.name",
        f"The document is {found}, and the address is that of {ref}",
        "/metadata/name",
        remedy="Make kind, namespace and name agree with the address; to rename an entity, POST to its /rename.",
    )
