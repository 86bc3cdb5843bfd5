"""Questions of stock clients: dry run, validation, analysis."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from catalog.ingest.checking import check_entity
from catalog.ingest.collect import collect
from catalog.ingest.collected import Collected, Declared
from catalog.ingest.description import SourceDescription
from catalog.ingest.problems import Problem, Rejected
from catalog.ingest.sources import ReadSession
from catalog.refs import RefError, parse_location_ref
from catalog.services.kinds import current_registry
from catalog.services.sources_file import declared_rules
from portal.connections.gates import ConnectionGate
from portal.connections.selectors import host_configs
from portal.core.errors import InputError

#: Somebody waits for the answer.
PATIENCE = timedelta(seconds=5)
SLUGS = {"github": "github.com/project-slug", "gitlab": "gitlab.com/project-slug"}


def preview_location(*, target: str) -> list[dict[str, Any]]:
    """The entities a registration of ``target`` would give, without uid, etag and relations.

    Raises:
        InputError: anything that is wrong in the tree, all of it in one message.
    """
    registry = current_registry()
    description = SourceDescription.of_target(target, registry, rules=declared_rules())
    with ReadSession(hosts=host_configs(), gate=ConnectionGate(longest_wait=PATIENCE)) as session:
        found = collect(description, session=session, registry=registry)
    errors = [problem for problem, _ in found.problems if problem.severity == "error"]
    if errors:
        raise InputError(
            "; ".join(dict.fromkeys(p.message for p in errors)), code=errors[0].rule, remedy=errors[0].remedy
        )
    if found.rivals:
        raise InputError(f"Duplicate nested entity: {found.rivals[0].ref}", code="catalog.duplicate")
    return [declared.entity for declared in _as_stock_walks(found)]


def _as_stock_walks(found: Collected) -> Iterator[Declared]:
    """The tree in the order in which stock's dry run lists it: of what is still to do, the last one first."""
    children: dict[str, list[Declared]] = {}
    for declared in found.declared.values():
        children.setdefault(declared.parent_ref, []).append(declared)
    stack = children.get("", [])
    while stack:
        declared = stack.pop()
        yield declared
        stack.extend(children.get(declared.ref, []))


def validate_entity(*, entity: dict[str, Any], location: str) -> list[Problem]:
    """Everything that is wrong with an entity as if it stood in the file ``location`` (``url:…``)."""
    try:
        place = parse_location_ref(location)
    except RefError as error:
        return [Problem(rule=error.code, message=error.message, error_name="TypeError", remedy=error.remedy)]
    if place.type != "url":
        message = (
            f"Invalid location ref {location}, only 'url:<target>' is supported, e.g. url:https://host/path"
        )
        return [Problem(rule="catalog.location-ref.type", message=message, error_name="TypeError")]
    with ReadSession(hosts=host_configs(), gate=ConnectionGate(longest_wait=PATIENCE)) as session:
        try:
            return check_entity(entity, place, session=session, registry=current_registry())
        except Rejected as rejected:
            return rejected.problems


def analyze_location(*, target: str) -> dict[str, Any]:
    """A first descriptor for a repository that has none.

    Raises:
        InputError: the target is no address.
    """
    parts = urlsplit(target)
    if not parts.scheme or not parts.netloc:
        raise InputError("The given location.target is not a URL", code="catalog.location.no-url")
    segments = [s for s in parts.path.split("/") if s]
    host = next((h for h in host_configs() if h.host == parts.netloc), None)
    kind = host.kind if host else ""
    slug = segments[:2]
    if kind == "gitlab":
        slug = segments[: segments.index("-")] if "-" in segments else segments
    known = len(slug) >= 2 and kind not in ("", "plain")
    metadata: dict[str, Any] = {"name": slug[-1] if known else (segments[-1] if segments else parts.netloc)}
    if known and kind in SLUGS:
        metadata["annotations"] = {SLUGS[kind]: "/".join(slug)}
    generated = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": metadata,
        "spec": {"type": "other", "lifecycle": "unknown"},
    }
    return {"existingEntityFiles": [], "generateEntities": [{"entity": generated, "fields": []}]}
