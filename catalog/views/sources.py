"""Where entities come from: the list of sources, one source, and reading it again now."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from catalog.models import Entity, Problem, Quarantine, RemoteReport, Source, Sync
from catalog.presenters.problem import ProblemView
from catalog.presenters.remote import RemoteView, remote_view
from catalog.query.conflicts import Conflicts
from catalog.views.problems import present
from catalog.views.refresh import shown_job
from catalog.views.viewing import admin_address, kinds_for, viewer_of, with_query
from portal.access.viewer import CURATE, Viewer
from portal.jobs.models import Job
from portal.jobs.outcomes import JobView

PAGE = 100
SHOWN_SYNCS, SHOWN_PROBLEMS = 20, 10
_ICONS = {
    Source.Type.GIT: "branch",
    Source.Type.URL: "link",
    Source.Type.FILE: "folder",
    Source.Type.REMOTE: "external",
    Source.Type.MANAGED: "edit",
}
_OUTCOMES = {
    Sync.State.RUNNING: ("run", "Reading"),
    Sync.State.UNCHANGED: ("ok", "Unchanged"),
    Sync.State.DONE: ("ok", "Done"),
    Sync.State.PARTIAL: ("warn", "Done, with problems"),
    Sync.State.FAILED: ("bad", "Failed"),
}


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source in the list."""

    name: str
    url: str
    icon: str
    kind: str
    target: str
    level: str
    outcome: str
    entities: int
    entities_url: str
    problems: int
    problems_url: str
    last_success_at: datetime | None


@dataclass(frozen=True, slots=True)
class SyncRow:
    """One reading of a source. ``seconds`` is None while it runs."""

    started_at: datetime
    level: str
    outcome: str
    actor: str
    added: int
    changed: int
    removed: int
    problems: int
    seconds: float | None
    error: str


@dataclass(frozen=True, slots=True)
class Running:
    """What is being done right now; ``total`` 0 where that is not known yet."""

    title: str
    text: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class SourcesPage:
    rows: list[SourceRow]
    add_url: str
    hooks_url: str
    next_url: str
    previous_url: str


@dataclass(slots=True)
class SourcePage:
    """The page of one source; the banner that is asked for every second needs only the part without a default."""

    name: str
    url: str
    icon: str
    kind: str
    target: str
    version: str
    enabled: bool
    may_define_people: bool
    rhythm: str
    last_success_at: datetime | None
    last_error: str
    running: Running | None
    progress_url: str
    sync_url: str
    admin_url: str
    kept_here: bool
    failures: int
    failing_since: datetime | None
    entities: int = 0
    entities_url: str = ""
    problems: int = 0
    problems_url: str = ""
    held: int = 0
    held_of: int = 0
    held_url: str = ""
    conflicts: int = 0
    conflicts_url: str = ""
    job: JobView | None = None
    problem_list: list[ProblemView] = field(default_factory=list)
    syncs: list[SyncRow] = field(default_factory=list)
    view_url: str = ""
    remote: RemoteView | None = None


def outcome_of(state: str | None, enabled: bool = True) -> tuple[str, str]:
    """Level and word for the state of a sync; for a source that was never read, or is off, without one."""
    if not enabled:
        return "idle", "Switched off"
    return _OUTCOMES[Sync.State(state)] if state else ("wait", "Not read yet")


def _entities_url(source: Source) -> str:
    return f"{reverse('catalog:index')}?{urlencode({'source': str(source.pk)})}"


def _problems_url(source: Source) -> str:
    return f"{reverse('catalog:problems')}?{urlencode({'source': str(source.pk)})}"


@dataclass(frozen=True, slots=True)
class Counts:
    """What a source came to; ``last_state`` is None where it was never read.

    Attributes:
        held: removals that wait for a decision, of ``held_of`` entities.
        conflicts: declarations in conflict; only where one source was asked for.
    """

    last_state: str | None = None
    entities: int = 0
    problems: int = 0
    held: int = 0
    held_of: int = 0
    conflicts: int = 0


def _counts(viewer: Viewer, sources: Sequence[Source]) -> dict[uuid.UUID, Counts]:
    """Counts of each source. One statement."""
    here = OuterRef("pk")
    last = Sync.objects.visible_to(viewer).filter(source=here).order_by("-started_at").values("state")[:1]
    entities = Entity.objects.visible_to(viewer).filter(source=here)
    problems = Problem.objects.visible_to(viewer).filter(source=here)
    numbers = [
        Coalesce(
            Subquery(rows.order_by().values("source").annotate(n=Count("pk")).values("n"), IntegerField()), 0
        )
        for rows in (entities, problems)
    ]
    held = Quarantine.objects.visible_to(viewer).filter(source=here, state=Quarantine.State.PENDING)
    waiting = [Coalesce(Subquery(held.values(name), IntegerField()), 0) for name in ("count", "total")]
    if len(sources) == 1:
        lost = Conflicts(viewer, source=sources[0].pk).rows.order_by().values(every=Value(1))
        waiting.append(Coalesce(Subquery(lost.annotate(n=Count("pk")).values("n"), IntegerField()), 0))
    rows = Source.objects.visible_to(viewer).filter(pk__in=[source.pk for source in sources])
    return {
        key: Counts(*counted) for key, *counted in rows.values_list("pk", Subquery(last), *numbers, *waiting)
    }


@require_safe
def sources(request: HttpRequest) -> HttpResponse:
    """Every source by name, 100 a page."""
    viewer = viewer_of(request)
    after, before = request.GET.get("after", ""), request.GET.get("before", "")
    rows = Source.objects.visible_to(viewer)
    if before:
        found = list(rows.filter(name__lt=before).order_by("-name")[: PAGE + 1])
        page, earlier, later = found[:PAGE][::-1], len(found) > PAGE, True
    else:
        found = list((rows.filter(name__gt=after) if after else rows).order_by("name")[: PAGE + 1])
        page, earlier, later = found[:PAGE], bool(after), len(found) > PAGE
    counts = _counts(viewer, page)
    shown = []
    for source in page:
        counted = counts.get(source.pk, Counts())
        level, outcome = outcome_of(counted.last_state, source.enabled)
        if source.enabled and source.type == Source.Type.MANAGED and counted.last_state is None:
            level, outcome = "ok", "Kept here"
        if counted.held:
            level, outcome = "warn", "Removals held back"
        shown.append(
            SourceRow(
                name=source.name,
                url=reverse("catalog:source", args=[source.pk]),
                icon=_ICONS.get(Source.Type(source.type), "link"),
                kind=source.get_type_display(),
                target="" if source.type == Source.Type.MANAGED else source.target,
                level=level,
                outcome=outcome,
                entities=counted.entities,
                entities_url=_entities_url(source),
                problems=counted.problems,
                problems_url=_problems_url(source),
                last_success_at=source.last_success_at,
            )
        )
    context = SourcesPage(
        rows=shown,
        add_url=admin_address(viewer, "catalog_source_add"),
        hooks_url=reverse("catalog:hooks") if viewer.allows(CURATE) else "",
        next_url=with_query(request, after=page[-1].name) if page and later else "",
        previous_url=with_query(request, before=page[0].name) if page and earlier else "",
    )
    return render(request, "catalog/sources.html", {"page": context})


def _found(viewer: Viewer, key: uuid.UUID, action: str = "view", **more: Subquery) -> Any:
    """A source. ``more`` are attributes to read with it."""
    source = Source.objects.visible_to(viewer, action).filter(pk=key).annotate(**more).first()
    if source is None:
        raise Http404("There is no such source.")
    return source


def _running(viewer: Viewer, source: Source) -> Running | None:
    """The job that reads this source, or the sync it began, for those who may not look at jobs."""
    waiting = Job.objects.visible_to(viewer).filter(
        key=f"catalog.sync:{source.pk}", state__in=(Job.State.QUEUED, Job.State.RUNNING)
    )
    job = waiting.order_by("-state", "created_at").first()
    if job is not None and job.state == Job.State.RUNNING:
        return Running("Reading now.", job.progress_text, job.progress_done, job.progress_total)
    if job is not None and not job.attempts:
        return Running("Waiting for a worker.", "")
    if Sync.objects.visible_to(viewer).filter(source=source, state=Sync.State.RUNNING).exists():
        return Running("Reading now.", "")
    return None


def _rhythm(seconds: int, enabled: bool) -> str:
    if not enabled or not seconds:
        return "only on demand"
    if seconds % 3600 == 0:
        return "every hour" if seconds == 3600 else f"every {seconds // 3600} h"
    return f"every {seconds // 60} min" if seconds % 60 == 0 else f"every {seconds} s"


def _page(viewer: Viewer, source: Source) -> SourcePage:
    """The head of the page: everything but lists and counts."""
    return SourcePage(
        name=source.name,
        url=reverse("catalog:source", args=[source.pk]),
        icon=_ICONS.get(Source.Type(source.type), "link"),
        kind=source.get_type_display(),
        target=source.target,
        version=source.last_version,
        enabled=source.enabled,
        may_define_people=source.may_define_people,
        rhythm=_rhythm(source.interval, source.enabled),
        last_success_at=source.last_success_at,
        last_error=source.last_error,
        running=_running(viewer, source),
        progress_url=reverse("catalog:source-progress", args=[source.pk]),
        sync_url=reverse("catalog:source-sync", args=[source.pk])
        if viewer.allows(CURATE) and source.enabled
        else "",
        admin_url=admin_address(viewer, "catalog_source_change", source.pk),
        kept_here=source.type == Source.Type.MANAGED,
        failures=source.failures,
        failing_since=source.failing_since,
    )


@require_safe
def source(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """One source: how fresh it is, what it brought, what is wrong with it, its last readings."""
    viewer = viewer_of(request)
    reports = (
        RemoteReport.objects.visible_to(viewer).filter(source=OuterRef("pk")).order_by("-created_at", "-pk")
    )
    found = _found(viewer, key, report=Subquery(reports.values("data")[:1]))
    page = _page(viewer, found)
    page.job = shown_job(request, viewer)
    counted = _counts(viewer, [found])[found.pk]
    page.entities, page.entities_url = counted.entities, _entities_url(found)
    page.problems, page.problems_url = counted.problems, _problems_url(found)
    if counted.held:
        page.held, page.held_of = counted.held, counted.held_of
        page.held_url = reverse("catalog:source-held", args=[found.pk])
    page.conflicts = counted.conflicts
    page.conflicts_url = f"{reverse('catalog:conflicts')}?{urlencode({'source': str(found.pk)})}"
    if page.problems:
        problems = Problem.objects.visible_to(viewer).filter(source=found)
        page.problem_list = present(
            viewer, problems.order_by("severity", "url", "document", "line", "pk")[:SHOWN_PROBLEMS]
        )
    syncs = Sync.objects.visible_to(viewer).filter(source=found).order_by("-started_at")[:SHOWN_SYNCS]
    page.syncs = [_sync_row(row) for row in syncs]
    if found.type == Source.Type.REMOTE:
        page.view_url = found.view_url
        page.remote = remote_view(found.report, kinds_for(viewer)) if found.report else None
    return render(request, "catalog/source.html", {"page": page})


def _sync_row(sync: Sync) -> SyncRow:
    level, outcome = outcome_of(sync.state)
    if sync.outcome in (Sync.Outcome.OUTAGE, Sync.Outcome.INTERRUPTED):
        level, outcome = "warn", sync.get_outcome_display()
    return SyncRow(
        started_at=sync.started_at,
        level=level,
        outcome=outcome,
        actor=sync.actor.partition(":")[2] or sync.actor,
        added=sync.added,
        changed=sync.changed,
        removed=sync.removed,
        problems=sync.problems,
        seconds=(sync.finished_at - sync.started_at).total_seconds() if sync.finished_at else None,
        error=sync.error,
    )


@require_safe
def progress(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """The progress banner alone, for the script that asks every second. When it is over, the page loads itself anew."""
    viewer = viewer_of(request)
    page = _page(viewer, _found(viewer, key))
    response = render(request, "catalog/source_progress.html", {"page": page})
    if page.running is None:
        response["HX-Refresh"] = "true"
    return response
