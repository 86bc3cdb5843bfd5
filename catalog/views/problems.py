"""The page of everything in sources that a person should mend."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from catalog.models import Problem, Source
from catalog.presenters.problem import ProblemView, problem_view, refs_of
from catalog.presenters.refs import ref_view
from catalog.views.viewing import identities, kinds_for, known_entities, viewer_of, with_query
from portal.access.querysets import RestrictedQuerySet
from portal.access.viewer import Viewer
from portal.core.errors import InputError

PAGE = 50


@dataclass(frozen=True, slots=True)
class SourceLink:
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Group:
    """The problems of one source."""

    source: SourceLink
    problems: list[ProblemView]


@dataclass(frozen=True, slots=True)
class Choice:
    title: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class RuleChoice:
    rule: str
    count: int
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Chip:
    title: str
    text: str
    remove_url: str


@dataclass(frozen=True, slots=True)
class ProblemsPage:
    whose: list[Choice]
    rules: list[RuleChoice]
    chips: list[Chip]
    groups: list[Group]
    range_text: str
    clear_url: str
    next_url: str
    previous_url: str
    only_mine: bool
    read_at: datetime | None


def present(viewer: Viewer, problems: Iterable[Problem]) -> list[ProblemView]:
    """Problems with links to the entities they are about. Two statements."""
    rows = list(problems)
    kinds, known = kinds_for(viewer), known_entities(viewer, refs_of(rows))
    return [problem_view(p, ref_view(p.entity_ref, kinds, known) if p.entity_ref else None) for p in rows]


def _place(problem: Problem) -> tuple[str, int, int, int]:
    """Order within a source: by file, document and line."""
    return problem.url, problem.document or 0, problem.line or 0, problem.pk


def _cursor(text: str) -> tuple[str, int]:
    key, _, name = text.partition("~")
    if not key.isdigit():
        raise InputError(
            "The page marker in the address cannot be read.", remedy="Open the list from its beginning."
        )
    return name, int(key)


def _source_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InputError(f"{text!r} is not the id of a source.") from None


@require_safe
def problems(request: HttpRequest) -> HttpResponse:
    """Problems by source; narrowed by ``rule``, ``source``, ``entity``, ``severity`` and ``mine``; 50 a page."""
    viewer = viewer_of(request)
    asked = {name: request.GET.get(name, "") for name in ("rule", "source", "entity", "severity", "mine")}
    rows = Problem.objects.visible_to(viewer)
    if asked["mine"]:
        rows = rows.filter(owner_ref__in=identities(viewer))
    if asked["source"]:
        rows = rows.filter(source_id=_source_id(asked["source"]))
    if asked["entity"]:
        rows = rows.filter(entity_ref=asked["entity"].lower())
    if asked["severity"]:
        rows = rows.filter(severity=asked["severity"])
    counts = dict(rows.order_by().values_list("rule").annotate(n=Count("pk")).order_by("-n", "rule"))
    if asked["rule"]:
        rows = rows.filter(rule=asked["rule"])
    total = sum(counts.values()) if not asked["rule"] else counts.get(asked["rule"], 0)
    page, previous_url, next_url = _slice(request, rows)
    links = {
        p.source_id: SourceLink(p.source.name, reverse("catalog:source", args=[p.source_id])) for p in page
    }
    shown = dict(zip((p.pk for p in page), present(viewer, page), strict=True))
    chips = [
        Chip(title, asked[name], with_query(request, **{name: None}))
        for name, title in (("rule", "Rule"), ("entity", "Entity"), ("severity", "Severity"))
        if asked[name]
    ]
    if asked["source"]:
        named = (
            Source.objects.visible_to(viewer)
            .filter(pk=_source_id(asked["source"]))
            .values_list("name", flat=True)
        )
        chips.append(Chip("Source", named.first() or asked["source"], with_query(request, source=None)))
    context = ProblemsPage(
        whose=[
            Choice("All", with_query(request, mine=None), not asked["mine"]),
            Choice("Yours", with_query(request, mine="1"), bool(asked["mine"])),
        ],
        rules=[
            RuleChoice(
                rule,
                n,
                with_query(request, rule=None if rule == asked["rule"] else rule),
                rule == asked["rule"],
            )
            for rule, n in counts.items()
        ],
        chips=chips,
        groups=[
            Group(links[source_id], [shown[p.pk] for p in sorted(some, key=_place)])
            for source_id, some in groupby(page, key=lambda p: p.source_id)
        ],
        range_text=f"{len(page):,} of {total:,} shown"
        if len(page) < total
        else f"{total:,} in all"
        if total
        else "",
        clear_url=request.path,
        next_url=next_url,
        previous_url=previous_url,
        only_mine=bool(asked["mine"]),
        read_at=None
        if page
        else Source.objects.visible_to(viewer).aggregate(at=Max("last_success_at"))["at"],
    )
    return render(request, "catalog/problems.html", {"page": context})


def _slice(request: HttpRequest, rows: RestrictedQuerySet[Problem]) -> tuple[list[Problem], str, str]:
    """One page by the name of the source and the key of the problem, with the addresses of its neighbours."""
    after, before = request.GET.get("after", ""), request.GET.get("before", "")
    rows = rows.select_related("source")
    if before:
        name, key = _cursor(before)
        back = rows.filter(Q(source__name__lt=name) | Q(source__name=name, pk__lt=key)).order_by(
            "-source__name", "-pk"
        )
        found = list(back[: PAGE + 1])
        page, earlier, later = found[:PAGE][::-1], len(found) > PAGE, True
    else:
        if after:
            name, key = _cursor(after)
            rows = rows.filter(Q(source__name__gt=name) | Q(source__name=name, pk__gt=key))
        found = list(rows.order_by("source__name", "pk")[: PAGE + 1])
        page, earlier, later = found[:PAGE], bool(after), len(found) > PAGE
    if not page:
        return page, "", ""
    first, last = page[0], page[-1]
    previous_url = with_query(request, before=f"{first.pk}~{first.source.name}") if earlier else ""
    next_url = with_query(request, after=f"{last.pk}~{last.source.name}") if later else ""
    return page, previous_url, next_url
