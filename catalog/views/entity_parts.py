"""What the catalog's own tabs and cards of an entity show. Registered in ``catalog.plugin``, like anybody's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.urls import reverse
from django.utils.http import urlencode

from catalog.ingest.remote import page_address
from catalog.models import Entity, Problem, Source
from catalog.presenters.definition import SHOWN_OPERATIONS, read_definition
from catalog.presenters.entity import (
    LONG_GROUP,
    SHORT_GROUP,
    EntityPage,
    RelationGroup,
    as_yaml,
    refs_to_know,
    targets_by_type,
)
from catalog.presenters.problem import at_line, file_name
from catalog.presenters.refs import entity_url
from catalog.presenters.remote import instance_name
from catalog.presenters.rows import entity_row
from catalog.presenters.source_text import language_of, source_text
from catalog.query.conflicts import Conflicts
from catalog.query.freshness import freshness_of
from catalog.views.health import conflict_rows
from catalog.views.sources import outcome_of
from catalog.views.viewing import admin_address, kinds_for, known_entities, named
from portal.access.viewer import Viewer

OWNED_ROWS, SHOWN_CONFLICTS = 10, 3


def document_of(entity: Entity) -> Mapping[str, Any]:
    """The finished document of an entity that was read with it."""
    document: Mapping[str, Any] = orjson.loads(entity.document.text)
    return document


def page_of(viewer: Viewer, entity: Entity) -> EntityPage:
    """What all parts of one page share. Made once for each entity that was read; three statements."""
    page: EntityPage | None = entity.__dict__.get("_page")
    if page is None:
        document = document_of(entity)
        refs = refs_to_know(targets_by_type(document), limit=SHORT_GROUP)
        page = entity.__dict__["_page"] = EntityPage(
            entity=entity,
            document=document,
            kinds=kinds_for(viewer),
            known=known_entities(viewer, refs),
            admin_url=admin_address(viewer, "catalog_entity_change", entity.pk),
            problems=Problem.objects.visible_to(viewer).filter(entity_ref=entity.ref).count(),
        )
    return page


def _widened(viewer: Viewer, page: EntityPage) -> EntityPage:
    """The same with the titles of long lists. One statement."""
    page.known = known_entities(viewer, refs_to_know(page.targets, limit=LONG_GROUP))
    return page


# --- tabs


def relations(viewer: Viewer, entity: Entity) -> Mapping[str, Any]:
    """Every relation type with what it leads to."""
    return {"groups": _widened(viewer, page_of(viewer, entity)).groups()}


def raw(viewer: Viewer, entity: Entity) -> Mapping[str, Any]:
    """The finished document as YAML."""
    page = page_of(viewer, entity)
    return {"text": source_text(as_yaml(page.document), "yaml"), "etag": entity.etag}


def is_api(entity: Entity) -> bool:
    return entity.kind == "api"


def is_component(entity: Entity) -> bool:
    return entity.kind == "component"


def apis(viewer: Viewer, entity: Entity) -> Mapping[str, Any]:
    """The APIs that a component provides and consumes."""
    page = _widened(viewer, page_of(viewer, entity))
    return {
        "groups": [
            page.group("providesApi", limit=LONG_GROUP, empty="It provides none."),
            page.group("consumesApi", limit=LONG_GROUP, empty="It consumes none."),
        ]
    }


def api(viewer: Viewer, entity: Entity) -> Mapping[str, Any]:
    """The definition of an API, its operations, and who is on either side."""
    page = _widened(viewer, page_of(viewer, entity))
    groups = [
        page.group("apiProvidedBy", limit=LONG_GROUP, empty="Nothing says that it provides this API."),
        page.group("apiConsumedBy", limit=LONG_GROUP, empty="Nothing says that it consumes this API."),
    ]
    remotes = [
        {"type": str(r.get("type", "")), "url": str(r.get("url", ""))}
        for r in page.spec.get("remotes") or ()
        if isinstance(r, Mapping)
    ]
    text = page.spec.get("definition")
    if not isinstance(text, str):
        return {"groups": groups, "remotes": remotes}
    definition = read_definition(text, page.type.lower())
    return {
        "groups": groups,
        "remotes": remotes,
        "definition": definition,
        "hidden_operations": max(definition.total - SHOWN_OPERATIONS, 0),
        "no_operations": f"Operations of APIs of type {page.type or 'unknown'} are not listed; see the definition.",
        "text": source_text(text, language_of(text, definition.language)),
        "raw_url": f"{entity_url(entity.ref)}definition.txt",
    }


# --- cards of the overview


def about(viewer: Viewer, entity: Entity) -> Mapping[str, Any]:
    return {"facts": page_of(viewer, entity).facts}


def _relations_card(page: EntityPage, groups: list[RelationGroup], empty: str = "") -> Mapping[str, Any]:
    return {
        "groups": groups,
        "total": sum(group.total for group in groups),
        "empty": empty,
        "more_url": entity_url(page.ref, "relations"),
    }


def depends(viewer: Viewer, entity: Entity) -> Mapping[str, Any] | None:
    """What it needs, and what needs it."""
    page = page_of(viewer, entity)
    if entity.kind == "api":
        return _relations_card(
            page,
            [
                page.group("apiProvidedBy", empty="Nothing says that it provides this API."),
                page.group("apiConsumedBy", empty="Nothing says that it consumes this API."),
            ],
        )
    groups = [
        page.group("dependsOn", empty="It names nothing that it needs."),
        page.group("dependencyOf", empty="Nothing says that it needs this."),
    ]
    groups += [page.group(name) for name in ("consumesApi", "providesApi") if name in page.targets]
    return _relations_card(page, groups)


def may_depend(entity: Entity) -> bool:
    return entity.kind in ("component", "resource", "api", "airesource")


def parts(viewer: Viewer, entity: Entity) -> Mapping[str, Any] | None:
    """What belongs to it, by kind."""
    page = page_of(viewer, entity)
    refs = page.targets.get("hasPart", [])
    if not refs and entity.kind not in ("system", "domain"):
        return None
    return _relations_card(
        page, [page.group("hasPart")] if refs else [], "Nothing says that it belongs here."
    )


def members(viewer: Viewer, entity: Entity) -> Mapping[str, Any]:
    """The people of a team."""
    page = page_of(viewer, entity)
    group = page.group("hasMember")
    return {"people": group.refs, "total": group.total, "empty": "Nobody says that they belong here.",
            "more_url": entity_url(page.ref, "relations") if group.more else ""}  # fmt: skip


def teams(viewer: Viewer, entity: Entity) -> Mapping[str, Any] | None:
    """The teams of a person, or the teams around a team."""
    page = page_of(viewer, entity)
    names = ("memberOf",) if entity.kind == "user" else ("childOf", "parentOf")
    groups = [page.group(name) for name in names if name in page.targets]
    if not groups and entity.kind == "group":
        return None
    return _relations_card(page, groups, "Member of no team.")


def is_team_or_person(entity: Entity) -> bool:
    return entity.kind in ("group", "user")


def is_team(entity: Entity) -> bool:
    return entity.kind == "group"


def owned(viewer: Viewer, entity: Entity) -> Mapping[str, Any]:
    """What a team or person answers for. Two statements."""
    page = page_of(viewer, entity)
    rows = Entity.objects.visible_to(viewer).owned_by(entity.ref)
    found = list(named(rows).order_by("kind", "label", "ref")[: OWNED_ROWS + 1])
    total = rows.count() if len(found) > OWNED_ROWS else len(found)
    return {
        "rows": [entity_row(row, page.kinds) for row in found[:OWNED_ROWS]],
        "count_text": f"{OWNED_ROWS} of {total:,}" if total > OWNED_ROWS else str(total),
        "more_url": f"{reverse('catalog:index')}?{urlencode({'owner': entity.ref})}"
        if total > OWNED_ROWS
        else "",
        "more_text": f"All {total:,}",
        "empty": "Nothing names it as owner.",
    }


def origin(viewer: Viewer, entity: Entity) -> Mapping[str, Any]:
    """Where it came from and when."""
    source = entity.source
    fresh = freshness_of(entity)
    level, text = outcome_of("failed" if source.last_error else None, source.enabled) if source else ("", "")
    remote = source is not None and source.type == Source.Type.REMOTE and entity.ref != source.entity_ref
    return {
        "kept_here": source is not None and source.type == Source.Type.MANAGED,
        "instance": instance_name(source.target) if source is not None and remote else "",
        "instance_url": page_address(source.view_url, entity.ref) if source is not None and remote else "",
        "source": {"name": source.name, "url": reverse("catalog:source", args=[source.pk])}
        if source
        else None,
        "file_url": at_line(entity.url, entity.line),
        "file_name": file_name(entity.url),
        "line": entity.line,
        "commit": entity.commit,
        "confirmed_at": fresh.confirmed_at,
        "stale": f"No reading saw it as it stands for more than {fresh.days:g} days." if fresh.stale else "",
        "conflicts": conflict_rows(viewer, Conflicts(viewer, ref=entity.ref), SHOWN_CONFLICTS)[0],
        "conflicts_url": f"{reverse('catalog:conflicts')}?{urlencode({'ref': entity.ref})}",
        "outcome": {"level": level, "text": text}
        if source and (source.last_error or not source.enabled)
        else None,
        "changed_at": entity.changed_at,
        "created_at": entity.created_at,
    }


def links(viewer: Viewer, entity: Entity) -> Mapping[str, Any] | None:
    """The author's links; no card without any."""
    found = page_of(viewer, entity).links
    return {"links": found} if found else None
