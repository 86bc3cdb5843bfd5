"""The catalog index: every entity the viewer may see, narrowed, sorted, a page at a time. Every state is an address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from catalog.models import Entity, Source
from catalog.presenters import listing
from catalog.presenters.history import version_url
from catalog.presenters.listing import Asked, IndexPage, Names
from catalog.presenters.refs import Links
from catalog.presenters.rows import EntityRow, entity_row
from catalog.query import EntityQuery, PastQuery
from catalog.selectors import moment
from catalog.services.exports import FORMATS
from catalog.views.bulk import act_url
from catalog.views.viewing import admin_address, kinds_for, known_entities, named, site, viewer_of
from portal.access.viewer import CURATE, Viewer

PAGE = 50
#: Chips that an empty list counts its rest for.
COUNTED_CHIPS = 4


def _past(viewer: Viewer, asked: Asked, at: datetime) -> PastQuery:
    return PastQuery(
        viewer,
        at,
        include=asked.query_include(),
        exclude=asked.query_exclude(),
        text=asked.text or None,
        order=asked.query_order,
    )


def list_query(viewer: Viewer, asked: Asked, version: int | None = -1) -> EntityQuery:
    """What an address of the list asks for."""
    return EntityQuery(
        viewer,
        include=asked.query_include(),
        exclude=asked.query_exclude(),
        text=asked.text or None,
        order=asked.query_order,
        version=version,
    )


def source_names(viewer: Viewer, ids: Iterable[str]) -> dict[str, str]:
    """Names of sources by id. One statement, none for no ids."""
    wanted = [key for key in ids if key]
    if not wanted:
        return {}
    rows = Source.objects.visible_to(viewer).filter(pk__in=wanted)
    return {str(key): name for key, name in rows.values_list("pk", "name")}


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The list, its facets and its counts."""
    viewer = viewer_of(request)
    asked = Asked.of(request.path, dict(request.GET.lists()))
    at = moment(asked.at)
    if at is None:
        asked = replace(asked, at="")  # what is to come is now
    query = _past(viewer, asked, at) if at else list_query(viewer, asked)
    counted = query.facets([field.key for field in listing.FACETS], apart=True)
    counts = {f.word: listing.merged(f.word, counted[f.key]) for f in listing.FACETS}
    cursor = request.GET.get("cursor", "")
    if isinstance(query, PastQuery):
        found = query.page(PAGE, cursor=cursor, dressed=named)
    else:
        found = query.page(PAGE, cursor=cursor)
    total = _total(asked, counts, "namespace" if at else "state")
    names, rows = _described(viewer, asked, counts, found.entities)
    if at:
        rows = [replace(row, url=version_url(row.ref, at)) for row in rows]
    chips = listing.chips(asked, names)
    if not found.entities and chips and isinstance(query, EntityQuery):
        chips = _counted(viewer, asked, chips, query)
    kind = names.kinds[asked.kind] if asked.kind else None
    page = IndexPage(
        title=kind.plural if kind else "Catalog",
        description=kind.description if kind else "Everything there is, and who answers for it.",
        kind=asked.kind,
        kinds=listing.kind_tabs(asked, counts["kind"], names.kinds),
        text=asked.text,
        facets=_facets(asked, counts, names),
        chips=chips,
        columns=listing.columns(asked),
        rows=rows,
        count=total,
        range_text=f"{len(rows):,} of {total:,} shown"
        if len(rows) < total
        else f"{total:,} in all"
        if total
        else "",
        is_blank=not found.entities and not asked.parameters(),
        add_url=admin_address(viewer, "catalog_source_add"),
        clear_url=Asked(
            request.path, {"kind": (asked.kind,)} if asked.kind else {}, {}, sort=asked.sort, at=asked.at
        ).url(),
        next_url=asked.url(cursor=found.next_cursor) if found.next_cursor else "",
        previous_url=asked.url(cursor=found.previous_cursor) if found.previous_cursor else "",
        url=asked.url(),
        api_url=listing.api_url(asked),
        exports=[
            (format.title, listing.export_url(asked, name))
            for name, format in FORMATS.items()
            if name != "json"
        ],
        feed_url=listing.feed_url(asked, reverse("catalog:feed")),
        kept=[
            pair
            for pair in asked.parameters()
            if pair[0] in ("q", "sort", "at") or (pair[0] == "kind" and asked.kind)
        ],
        kept_filters=[pair for pair in asked.parameters() if pair[0] != "q"],
        at=at,
        now_url=replace(asked, at="").url(),
        kept_then=[pair for pair in asked.parameters() if pair[0] != "at"],
        act_url=act_url(viewer, asked) if found.entities and not at else "",
        operations_url=reverse("catalog:operations") if viewer.allows(CURATE) else "",
    )
    return render(request, "catalog/index.html", {"page": page, "site": site(request)})


def _total(asked: Asked, counts: Mapping[str, Mapping[str, int]], word: str) -> int:
    """Length of the list. Every entity has one value of ``word``, so the counts of the wanted ones add up to it."""
    wanted = {value.lower() for value in asked.include.get(word, ())}
    return sum(number for value, number in counts[word].items() if not wanted or value.lower() in wanted)


def _facets(asked: Asked, counts: Mapping[str, Mapping[str, int]], names: Names) -> list[listing.Facet]:
    """Every facet with something to choose. The tabs choose among kinds, unless several are wanted at once."""
    fields = [field for field in listing.FACETS if field.word != "kind" or not asked.kind]
    return [facet for field in fields if (facet := listing.facet(asked, field, counts[field.word], names))]


def _described(
    viewer: Viewer, asked: Asked, counts: Mapping[str, Mapping[str, int]], entities: Sequence[Entity]
) -> tuple[Names, list[EntityRow]]:
    """Names of everything the page mentions, and its rows."""
    values = {
        word: [v for v, _ in listing.shown_values(asked, word, counts[word])]
        for word in ("owner", "system", "source")
    }
    refs = {v.lower() for word in ("owner", "system") for v in values[word] if v != listing.NOBODY}
    refs |= {ref for e in entities for ref in (e.ref, e.owner_ref, e.system_ref) if ref}
    kinds, known = kinds_for(viewer), known_entities(viewer, refs)
    links = Links(kinds, known)
    names = Names(kinds, links, source_names(viewer, values["source"]))
    shown = entities if asked.at else [known.get(e.ref, e) for e in entities]
    return names, [entity_row(e, kinds, links) for e in shown]


def _counted(
    viewer: Viewer, asked: Asked, chips: list[listing.Chip], query: EntityQuery
) -> list[listing.Chip]:
    """Chips of an empty list with the length it has without each. One statement."""
    rest = [list_query(viewer, other, query.version) for other in listing.unfiltered(asked)[:COUNTED_CHIPS]]
    counted = query.lengths_of(rest)
    return [replace(chip, without=n) for chip, n in zip(chips, counted, strict=False)] + chips[len(counted) :]


@require_safe
def apis(request: HttpRequest) -> HttpResponse:
    """``/catalog/apis/`` is the index narrowed to APIs."""
    return HttpResponseRedirect(f"{reverse('catalog:index')}?kind=api")
