"""Acting on many entities: the preview with its button, the operation and its outcome, the list of past ones."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from catalog.models import BulkItem, BulkOperation
from catalog.presenters import bulk as rows
from catalog.presenters.bulk import FIELDS, ForeseenRow, ItemRow, OperationRow
from catalog.presenters.listing import Asked
from catalog.selectors import bulk_operation, bulk_outcomes
from catalog.services.bulk import Change, Preview, Selection, preview_bulk, start_bulk, undo_bulk
from catalog.services.bulk.operations import UNDOABLE
from catalog.services.bulk.preview import CHANGE, REFUSED, UNCHANGED
from catalog.views.viewing import viewer_of, with_query
from portal.access.viewer import CURATE, Viewer
from portal.core.errors import CallboardError, InputError, NotAllowedError
from portal.jobs.models import Job

PAGE = 50


@dataclass(slots=True)
class ActPage:
    """What to do with the entities of a list; with ``token`` once something was chosen and looked at."""

    count: int
    list_url: str
    kept: list[tuple[str, str]]
    filters: list[str]
    fields: list[tuple[str, str, bool]]
    value: str
    refusal: str = ""
    title: str = ""
    button: str = ""
    undoable: bool = False
    token: str = ""
    changes: int = 0
    unchanged: int = 0
    refused: int = 0
    rows: list[ForeseenRow] = field(default_factory=list)
    more: int = 0


@dataclass(frozen=True, slots=True)
class OperationPage:
    """One operation."""

    row: OperationRow
    running: bool
    job_text: str
    undo_url: str
    undoes_url: str
    undone_url: str
    progress_url: str
    items: Sequence[ItemRow] = ()
    next_url: str = ""


@dataclass(frozen=True, slots=True)
class OperationsPage:
    rows: list[OperationRow]
    next_url: str
    previous_url: str


def act_url(viewer: Viewer, asked: Asked) -> str:
    """Where a curator acts on a list; empty for everybody else, and for the whole catalog."""
    pairs = [pair for pair in asked.parameters() if pair[0] != "sort"]
    if not pairs or not viewer.allows(CURATE):
        return ""
    return f"{reverse('catalog:act')}?{urlencode(pairs)}"


def _curator(request: HttpRequest) -> Viewer:
    viewer = viewer_of(request)
    if not viewer.allows(CURATE):
        raise NotAllowedError("Acting on many entities is for people who curate the catalog.")
    return viewer


def _asked(request: HttpRequest) -> Asked:
    return Asked.of(reverse("catalog:index"), dict(request.GET.lists()))


def _selection(asked: Asked) -> Selection:
    if not [pair for pair in asked.parameters() if pair[0] != "sort"]:
        raise InputError(
            "This would be the whole catalog.", code="catalog.bulk.selection", remedy="Filter the list first."
        )
    return Selection(include=asked.query_include(), exclude=asked.query_exclude(), text=asked.text)


def _change(request: HttpRequest) -> Change | None:
    """What the address asks to do; None where nothing was chosen yet."""
    verb = request.GET.get("do", "")
    if not verb:
        return None
    if verb != BulkOperation.Verb.SET:
        return Change.of({verb: {}})
    name, value = request.GET.get("field", ""), request.GET.get("value", "").strip()
    if name not in FIELDS:
        raise InputError("Choose a field.", code="web.field", remedy=f"One of {', '.join(FIELDS)}.")
    return Change.of({"set": {"spec": {FIELDS[name][1]: value or None}}})


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest) -> HttpResponse:
    """What can be done with the entities of a list. The address has the list and the change; a POST does it."""
    viewer = _curator(request)
    asked = _asked(request)
    selection = _selection(asked)
    if request.method == "POST":
        return _start(request, viewer, selection)
    chosen = request.GET.get("field", "owner")
    page = ActPage(
        count=0,
        list_url=asked.url(),
        kept=[pair for pair in asked.parameters() if pair[0] != "sort"],
        filters=[
            f"{'words' if word == 'q' else word}: {value}"
            for word, value in asked.parameters()
            if word != "sort"
        ],
        fields=[(word, title, word == chosen) for word, (title, _) in FIELDS.items()],
        value=request.GET.get("value", ""),
    )
    try:
        change = _change(request)
        if change is None:
            page.count = len(selection.entities(viewer))
        else:
            _show(page, preview_bulk(actor=viewer, selection=selection, change=change))
    except CallboardError as error:
        page.refusal = f"{error.message} {error.remedy}".strip()
    return render(request, "catalog/act.html", {"page": page})


def _show(page: ActPage, preview: Preview) -> None:
    counts = preview.counts
    page.changes, page.unchanged, page.refused = counts[CHANGE], counts[UNCHANGED], counts[REFUSED]
    page.count = len(preview.items)
    page.token = preview.token
    page.button = rows.button_of(preview.change.verb)
    page.undoable = preview.change.verb != BulkOperation.Verb.REFRESH
    page.rows = rows.foreseen_rows(preview)
    page.more = len(preview.items) - len(page.rows)
    change = dict(preview.change.patch) if preview.change.patch else None
    page.title = rows.operation_title(BulkOperation(verb=preview.change.verb, change=change))


def _start(request: HttpRequest, viewer: Viewer, selection: Selection) -> HttpResponse:
    change = _change(request)
    if change is None:
        raise InputError("Choose what to do.", code="web.change")
    try:
        started = start_bulk(
            actor=viewer, selection=selection, change=change, token=request.POST.get("token", "")
        )
    except CallboardError as error:
        messages.error(request, f"{error.message} {error.remedy}")
        return HttpResponseRedirect(request.get_full_path())
    return HttpResponseRedirect(reverse("catalog:operation", args=[started.pk]))


@require_safe
def operations(request: HttpRequest) -> HttpResponse:
    """Past operations, newest first."""
    viewer = _curator(request)
    try:
        start = max(int(request.GET.get("start", "0")), 0)
    except ValueError:
        raise InputError("start has to be a number.", code="web.start") from None
    stored = BulkOperation.objects.visible_to(viewer).select_related("undoes").order_by("-created_at", "-id")
    found = list(stored[start : start + PAGE + 1])
    shown = found[:PAGE]
    outcomes = bulk_outcomes(viewer, shown)
    jobs = _jobs(viewer, shown)
    page = OperationsPage(
        rows=[
            rows.operation_row(each, outcomes[each.pk], running=_runs(each, jobs.get(each.job_id)))
            for each in shown
        ],
        next_url=with_query(request, start=str(start + PAGE)) if len(found) > PAGE else "",
        previous_url=with_query(request, start=str(max(start - PAGE, 0))) if start else "",
    )
    return render(request, "catalog/operations.html", {"page": page})


def _jobs(viewer: Viewer, shown: Sequence[BulkOperation]) -> dict[Any, Job]:
    wanted = [each.job_id for each in shown if each.state == BulkOperation.State.RUNNING]
    return Job.objects.visible_to(viewer).in_bulk(wanted) if wanted else {}


def _runs(operation: BulkOperation, job: Job | None) -> bool:
    return operation.state == BulkOperation.State.RUNNING and job is not None and not job.is_over


def _page(request: HttpRequest, key: uuid.UUID, *, with_items: bool) -> OperationPage:
    viewer = _curator(request)
    found = bulk_operation(viewer, key)
    job = _jobs(viewer, [found]).get(found.job_id)
    running = _runs(found, job)
    items, after = [], request.GET.get("after", "")
    stored = BulkItem.objects.visible_to(viewer).filter(operation=found)
    if with_items:
        if after.isdigit():
            stored = stored.filter(position__gt=int(after))
        items = list(stored.order_by("position")[: PAGE + 1])
    undone = getattr(found, "undone_by", None)
    undoable = (
        not running
        and undone is None
        and BulkItem.objects.visible_to(viewer).filter(operation=found, effect__in=UNDOABLE).exists()
    )

    def address(operation: BulkOperation | None) -> str:
        return reverse("catalog:operation", args=[operation.pk]) if operation is not None else ""

    return OperationPage(
        row=rows.operation_row(found, bulk_outcomes(viewer, [found])[found.pk], running=running),
        running=running,
        job_text="Waits for a worker." if job is not None and job.state == Job.State.QUEUED else "",
        undo_url=reverse("catalog:operation-undo", args=[key]) if undoable else "",
        undoes_url=address(found.undoes),
        undone_url=address(undone),
        progress_url=reverse("catalog:operation-progress", args=[key]),
        items=[rows.item_row(item) for item in items[:PAGE]],
        next_url=with_query(request, after=str(items[PAGE - 1].position)) if len(items) > PAGE else "",
    )


@require_safe
def operation(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """One operation: how far it is, what became of each entity, and the way back."""
    return render(request, "catalog/operation.html", {"page": _page(request, key, with_items=True)})


@require_safe
def progress(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """The progress alone, for the script that asks every second. When it is over, the page loads itself anew."""
    page = _page(request, key, with_items=False)
    response = render(request, "catalog/operation_progress.html", {"page": page})
    if not page.running:
        response["HX-Refresh"] = "true"
    return response


@require_POST
def undo(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Put back what an operation changed."""
    viewer = _curator(request)
    found = bulk_operation(viewer, key)
    try:
        back = undo_bulk(actor=viewer, operation=found)
    except CallboardError as error:
        messages.error(request, f"{error.message} {error.remedy}")
        return HttpResponseRedirect(reverse("catalog:operation", args=[key]))
    return HttpResponseRedirect(reverse("catalog:operation", args=[back.pk]))
