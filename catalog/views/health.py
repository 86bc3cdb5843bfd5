"""The health of the catalog, conflicts, and references to nothing: what is not (or no longer) true in it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from catalog.models import Source
from catalog.presenters.entity import relation_title
from catalog.presenters.health import health_page
from catalog.presenters.problem import at_line, file_name
from catalog.presenters.refs import Links, RefView
from catalog.query.conflicts import Conflicts, Side
from catalog.query.health import health_report
from catalog.query.references import MissingRef, References
from catalog.views.close_names import closest_names
from catalog.views.viewing import identities, kinds_for, known_entities, viewer_of, with_query
from portal.access.viewer import Viewer
from portal.core.errors import InputError

CONFLICTS, MISSING, POINTERS = 50, 25, 100


@dataclass(frozen=True, slots=True)
class Choice:
    title: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Chip:
    title: str
    text: str
    remove_url: str


@dataclass(frozen=True, slots=True)
class SideView:
    """One side of a conflict; ``source_url`` is empty where nobody declares it."""

    source: str
    source_url: str
    file_url: str
    file_name: str
    line: int


@dataclass(frozen=True, slots=True)
class ConflictRow:
    entity: RefView
    winner: SideView
    loser: SideView
    reason: str


@dataclass(frozen=True, slots=True)
class ConflictsPage:
    rows: list[ConflictRow]
    whose: list[Choice]
    chips: list[Chip]
    total: int
    only_mine: bool
    clear_url: str
    next_url: str
    previous_url: str


@dataclass(frozen=True, slots=True)
class MissingRow:
    """A reference to nothing; ``like`` is what may have been meant, ``ways`` the relations that lead there."""

    ref: str
    view: RefView
    entities: int
    ways: list[tuple[str, int]]
    like: RefView | None
    pointers_url: str


@dataclass(frozen=True, slots=True)
class PointerRow:
    entity: RefView
    ways: list[str]


@dataclass(frozen=True, slots=True)
class ReferencesPage:
    rows: list[MissingRow]
    whose: list[Choice]
    only_mine: bool
    refs: int
    entities: int
    next_url: str
    previous_url: str
    entities_url: str


@dataclass(frozen=True, slots=True)
class PointersPage:
    """Who points to one reference."""

    ref: str
    view: RefView
    exists: RefView | None
    like: RefView | None
    rows: list[PointerRow]
    back_url: str
    next_url: str


def _whose(request: HttpRequest, mine: bool) -> list[Choice]:
    return [
        Choice("All", with_query(request, mine=None), not mine),
        Choice("Yours", with_query(request, mine="1"), mine),
    ]


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Numbers that each lead to exactly what they count."""
    viewer = viewer_of(request)
    page = health_page(health_report(viewer), kinds_for(viewer), settings.CALLBOARD_STATIC_KINDS)
    return render(request, "catalog/health.html", {"page": page})


# --- conflicts


def _side(side: Side) -> SideView:
    return SideView(
        side.name,
        reverse("catalog:source", args=[side.source.pk]) if side.source else "",
        at_line(side.url, side.line),
        file_name(side.url),
        side.line,
    )


def conflict_rows(
    viewer: Viewer, conflicts: Conflicts, limit: int, cursor: str = ""
) -> tuple[list[ConflictRow], str, str]:
    """One page of conflicts and the cursors beside. Up to four statements."""
    found = conflicts.page(limit, cursor)
    known = known_entities(viewer, {row.ref for row in found.rows})
    links = Links(kinds_for(viewer), known)
    rows = [
        ConflictRow(links[row.ref], _side(row.winner), _side(row.loser), row.reason) for row in found.rows
    ]
    return rows, found.next_cursor, found.previous_cursor


@require_safe
def conflicts(request: HttpRequest) -> HttpResponse:
    """Declarations that lost, by entity; narrowed by ``source``, ``ref`` and ``mine``."""
    viewer = viewer_of(request)
    asked = {name: request.GET.get(name, "").replace("\0", "") for name in ("source", "ref", "mine")}
    mine = bool(asked["mine"])
    try:
        key = uuid.UUID(asked["source"]) if asked["source"] else None
    except ValueError:
        raise InputError(
            f"{asked['source'][:60]!r} is not the id of a source.", code="catalog.source.id"
        ) from None
    found = Conflicts(
        viewer,
        source=key,
        owners=identities(viewer) if mine else None,
        ref=asked["ref"].lower() or None,
    )
    rows, after, before = conflict_rows(viewer, found, CONFLICTS, request.GET.get("cursor", ""))
    chips = []
    if key is not None:
        name = Source.objects.visible_to(viewer).filter(pk=key).values_list("name", flat=True).first()
        chips.append(Chip("Source", name or str(key), with_query(request, source=None)))
    if asked["ref"]:
        chips.append(Chip("Entity", asked["ref"], with_query(request, ref=None)))
    page = ConflictsPage(
        rows,
        _whose(request, mine),
        chips,
        found.count() if after or before else len(rows),
        mine,
        request.path,
        with_query(request, cursor=after) if after else "",
        with_query(request, cursor=before) if before else "",
    )
    return render(request, "catalog/conflicts.html", {"page": page})


# --- references to nothing


@require_safe
def references(request: HttpRequest) -> HttpResponse:
    """References that lead nowhere, most wanted first; with ``to``, who points to one of them."""
    viewer = viewer_of(request)
    mine = bool(request.GET.get("mine"))
    found = References(viewer, identities(viewer) if mine else None)
    if to := request.GET.get("to", "").replace("\0", "").lower():
        return _pointers(request, viewer, found, to)
    listed = found.page(MISSING, request.GET.get("cursor", ""))
    refs, entities = found.counts() if listed.rows else (0, 0)
    like = closest_names(viewer, [row.ref for row in listed.rows])
    links = Links(kinds_for(viewer), {})
    page = ReferencesPage(
        [_missing_row(request, row, links, like) for row in listed.rows],
        _whose(request, mine),
        mine,
        refs,
        entities,
        with_query(request, cursor=listed.next_cursor) if listed.next_cursor else "",
        with_query(request, cursor=listed.previous_cursor) if listed.previous_cursor else "",
        f"{reverse('catalog:index')}?refs=nothing",
    )
    return render(request, "catalog/references.html", {"page": page})


def _missing_row(request: HttpRequest, row: MissingRef, links: Links, like: dict[str, RefView]) -> MissingRow:
    ways = [(relation_title(kind).lower(), count) for kind, count in row.types]
    return MissingRow(
        row.ref, links[row.ref], row.entities, ways, like.get(row.ref), with_query(request, to=row.ref)
    )


def _pointers(request: HttpRequest, viewer: Viewer, found: References, to: str) -> HttpResponse:
    pointers = found.pointers(to, POINTERS + 1, request.GET.get("after", "").replace("\0", ""))
    ways: dict[str, list[str]] = {}
    for pointer in pointers[:POINTERS]:
        ways.setdefault(pointer.ref, []).append(relation_title(pointer.type).lower())
    known = known_entities(viewer, {*ways, to})
    links = Links(kinds_for(viewer), known)
    mine = request.GET.get("mine")
    page = PointersPage(
        to,
        links[to],
        links[to] if to in known else None,
        None if to in known else closest_names(viewer, [to]).get(to),
        [PointerRow(links[ref], some) for ref, some in ways.items()],
        f"{request.path}?{urlencode({'mine': mine})}" if mine else request.path,
        with_query(request, after=pointers[POINTERS - 1].ref) if len(pointers) > POINTERS else "",
    )
    return render(request, "catalog/pointers.html", {"page": page})
