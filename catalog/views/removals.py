"""What was removed, and what waits to be: a tombstone at the address of its entity, removals that are held back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from catalog.models import Quarantine, Tombstone
from catalog.presenters.refs import entity_url
from catalog.services.removals import decide_removal, restore_entity
from catalog.views.viewing import viewer_of, with_query
from portal.access.viewer import CURATE
from portal.core.errors import CallboardError, InputError, NotAllowedError

PAGE = 100


@dataclass(frozen=True, slots=True)
class TombstonePage:
    """A removed entity. ``restore_url`` is empty where it cannot come back, or not by this viewer."""

    ref: str
    name: str
    reason: str
    source: str
    source_url: str
    actor: str
    removed_at: datetime
    keep_until: datetime
    restore_url: str
    history_url: str


@dataclass(frozen=True, slots=True)
class HeldPage:
    """Removals of one source that wait. ``may_decide`` where the viewer may, and nobody has."""

    source: str
    source_url: str
    digest: str
    decided: str
    count: int
    total: int
    created_at: datetime
    refs: list[tuple[str, str]]
    may_decide: bool
    next_url: str
    previous_url: str


def tombstone_page(request: HttpRequest, ref: str) -> HttpResponse:
    """The page at the address of an entity that was removed: status 410.

    Raises:
        Http404: nothing of that reference was removed lately.
    """
    viewer = viewer_of(request)
    stone = Tombstone.objects.visible_to(viewer).filter(ref=ref).select_related("source").first()
    if stone is None or not stone.may_return:
        raise Http404("There is no such entity.")
    page = TombstonePage(
        ref=stone.ref,
        name=stone.name,
        reason=stone.get_reason_display(),
        source=stone.source_name,
        source_url=reverse("catalog:source", args=[stone.source_id]) if stone.source_id else "",
        actor=stone.actor.partition(":")[2] or stone.actor,
        removed_at=stone.removed_at,
        keep_until=stone.keep_until,
        restore_url=reverse("catalog:restore", args=[stone.pk]) if viewer.allows(CURATE) else "",
        history_url=reverse("catalog:versions", args=[stone.uid]),
    )
    return render(request, "catalog/tombstone.html", {"page": page}, status=410)


@require_POST
def restore(request: HttpRequest, key: int) -> HttpResponse:
    """Bring a removed entity back. For those who curate."""
    viewer = viewer_of(request)
    if not viewer.allows(CURATE):
        raise NotAllowedError("Restoring an entity is for people who curate the catalog.")
    stone = get_object_or_404(Tombstone.objects.visible_to(viewer, CURATE), pk=key)
    restore_entity(actor=viewer, tombstone=stone)
    messages.success(request, f"{stone.ref} is back.")
    return HttpResponseRedirect(entity_url(stone.ref))


@require_http_methods(["GET", "HEAD", "POST"])
def held(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """The entities that a source no longer declares and that were not removed because they are many."""
    viewer = viewer_of(request)
    rows = Quarantine.objects.visible_to(viewer).filter(source=key).select_related("source")
    waiting = get_object_or_404(rows)
    here = reverse("catalog:source-held", args=[key])
    if request.method == "POST":
        return _decide(request, waiting, here)
    try:
        start = max(int(request.GET.get("start", "0")), 0)
    except ValueError:
        raise InputError("start has to be a number.", code="web.start") from None
    refs = waiting.refs[start : start + PAGE]
    pending = waiting.state == Quarantine.State.PENDING
    who = waiting.decided_by.partition(":")[2]
    page = HeldPage(
        source=waiting.source.name,
        source_url=reverse("catalog:source", args=[key]),
        digest=waiting.digest,
        decided="" if pending else f"{waiting.get_state_display()} by {who}",
        count=waiting.count,
        total=waiting.total,
        created_at=waiting.created_at,
        refs=[(ref, entity_url(ref)) for ref in refs],
        may_decide=pending and viewer.allows(CURATE),
        next_url=with_query(request, start=str(start + PAGE)) if start + PAGE < waiting.count else "",
        previous_url=with_query(request, start=str(max(start - PAGE, 0))) if start else "",
    )
    return render(request, "catalog/held.html", {"page": page})


def _decide(request: HttpRequest, waiting: Quarantine, here: str) -> HttpResponse:
    viewer = viewer_of(request)
    if not viewer.allows(CURATE):
        raise NotAllowedError("Deciding about removals is for people who curate the catalog.")
    decision = request.POST.get("decision")
    if decision not in ("remove", "keep") or request.POST.get("digest") != waiting.digest:
        raise InputError("These are others by now.", code="web.decision", remedy="Look at the page again.")
    try:
        decide_removal(actor=viewer, quarantine=waiting, accept=decision == "remove")
    except CallboardError as error:
        messages.error(request, f"{error.message} {error.remedy}")
        return HttpResponseRedirect(here)
    word = "They go with the sync that starts now." if decision == "remove" else "They stay."
    messages.success(request, word)
    return HttpResponseRedirect(reverse("catalog:source", args=[waiting.source_id]))
