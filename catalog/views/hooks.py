"""Webhooks of Git hosts: which there are, what came in, and doing it again. For staff."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib import messages
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from catalog.models import Hook, HookDelivery
from catalog.presenters.hook import LEVELS, DeliveryView, delivery_view, hook_address, setup_steps
from catalog.services.hooks import replay_delivery, sources_named_by
from catalog.views.viewing import admin_address, viewer_of, with_query
from portal.access.viewer import CURATE, Viewer
from portal.core.errors import CallboardError, InputError, NotAllowedError
from portal.jobs.models import Job

PAGE, HOOKS = 50, 100


@dataclass(frozen=True, slots=True)
class HookRow:
    """A webhook in the list."""

    name: str
    url: str
    provider: str
    enabled: bool
    last_delivery_at: datetime | None
    level: str
    verdict: str
    refused_at: datetime | None


@dataclass(frozen=True, slots=True)
class HooksPage:
    rows: list[HookRow]
    add_url: str
    out_url: str
    next_url: str
    previous_url: str


@dataclass(frozen=True, slots=True)
class Choice:
    title: str
    url: str
    current: bool


@dataclass(slots=True)
class HookPage:
    """One webhook with its deliveries."""

    name: str
    url: str
    provider: str
    enabled: bool
    address: str
    steps: tuple[str, ...]
    secret: str
    previous_until: datetime | None
    limited_to: list[tuple[str, str]]
    limited: bool
    refused_at: datetime | None
    admin_url: str
    query: str
    verdict: str
    choices: list[Choice]
    clear_url: str
    deliveries: list[DeliveryView] = field(default_factory=list)
    next_url: str = ""
    previous_url: str = ""


def _staff(request: HttpRequest) -> Viewer:
    viewer = viewer_of(request)
    if not viewer.allows(CURATE):
        raise NotAllowedError(
            "Webhooks are for people who curate the catalog.", remedy="Ask a platform admin."
        )
    return viewer


@require_safe
def hooks(request: HttpRequest) -> HttpResponse:
    """Every webhook by name, 100 a page."""
    viewer = _staff(request)
    after, before = request.GET.get("after", ""), request.GET.get("before", "")
    last = HookDelivery.objects.visible_to(viewer).filter(hook=OuterRef("pk")).order_by("-pk")
    rows = Hook.objects.visible_to(viewer).annotate(last_verdict=Subquery(last.values("verdict")[:1]))
    if before:
        found = list(rows.filter(name__lt=before).order_by("-name")[: HOOKS + 1])
        page, earlier, later = found[:HOOKS][::-1], len(found) > HOOKS, True
    else:
        found = list((rows.filter(name__gt=after) if after else rows).order_by("name")[: HOOKS + 1])
        page, earlier, later = found[:HOOKS], bool(after), len(found) > HOOKS
    shown = HooksPage(
        rows=[_row(hook) for hook in page],
        add_url=admin_address(viewer, "catalog_hook_add"),
        out_url=admin_address(viewer, "events_subscription_changelist"),
        next_url=with_query(request, after=page[-1].name) if page and later else "",
        previous_url=with_query(request, before=page[0].name) if page and earlier else "",
    )
    return render(request, "catalog/hooks/list.html", {"page": shown})


def _row(hook: Hook) -> HookRow:
    last: str = hook.last_verdict  # type: ignore[attr-defined]  # annotated in the list
    verdict = HookDelivery.Verdict(last) if last else None
    return HookRow(
        name=hook.name,
        url=reverse("catalog:hook", args=[hook.pk]),
        provider=hook.get_provider_display(),
        enabled=hook.enabled,
        last_delivery_at=hook.last_delivery_at,
        level=LEVELS[verdict] if verdict else "wait",
        verdict=str(verdict.label) if verdict else "Nothing came yet",
        refused_at=hook.refused_at,
    )


@require_safe
def hook(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """One webhook: how to set it up, and its deliveries by ``q`` (repository) and ``verdict``, 50 a page."""
    viewer = _staff(request)
    found = Hook.objects.visible_to(viewer).filter(pk=key).first()
    if found is None:
        raise Http404("There is no such webhook.")
    query, verdict = request.GET.get("q", "").strip()[:200], request.GET.get("verdict", "")
    if verdict and verdict not in HookDelivery.Verdict.values:
        raise InputError(f"{verdict[:40]!r} is no verdict.", code="web.verdict")
    limited_to = sources_named_by(found) if found.limited else []
    page = HookPage(
        name=found.name,
        url=reverse("catalog:hook", args=[found.pk]),
        provider=found.get_provider_display(),
        enabled=found.enabled,
        address=hook_address(found),
        steps=setup_steps(found.provider),
        secret=found.secret_ref,
        previous_until=found.previous_until,
        limited_to=[(source.name, reverse("catalog:source", args=[source.pk])) for source in limited_to],
        limited=found.limited,
        refused_at=found.refused_at,
        admin_url=admin_address(viewer, "catalog_hook_change", found.pk),
        query=query,
        verdict=verdict,
        choices=[
            Choice("All", with_query(request, verdict=None), not verdict),
            *(
                Choice(str(each.label), with_query(request, verdict=each.value), verdict == each.value)
                for each in HookDelivery.Verdict
            ),
        ],
        clear_url=reverse("catalog:hook", args=[found.pk]),
    )
    _fill(request, viewer, found, page)
    return render(request, "catalog/hooks/hook.html", {"page": page})


def _fill(request: HttpRequest, viewer: Viewer, hook: Hook, page: HookPage) -> None:
    """The deliveries of one page and the jobs that they queued. Two statements."""
    rows = HookDelivery.objects.visible_to(viewer).filter(hook=hook).defer("body", "headers")
    if page.query:
        rows = rows.filter(repository__icontains=page.query)
    if page.verdict:
        rows = rows.filter(verdict=page.verdict)
    after, before = _marker(request, "after"), _marker(request, "before")
    if before:
        found = list(rows.filter(pk__gt=before).order_by("pk")[: PAGE + 1])
        shown, newer, older = found[:PAGE][::-1], len(found) > PAGE, True
    else:
        found = list((rows.filter(pk__lt=after) if after else rows).order_by("-pk")[: PAGE + 1])
        shown, newer, older = found[:PAGE], bool(after), len(found) > PAGE
    ids = {target["job"] for row in shown for target in row.targets if target["job"]}
    jobs = {str(job.pk): job for job in Job.objects.visible_to(viewer).filter(pk__in=ids)} if ids else {}
    page.deliveries = [delivery_view(row, jobs, may_replay=hook.enabled) for row in shown]
    page.next_url = with_query(request, after=str(shown[-1].pk)) if shown and older else ""
    page.previous_url = with_query(request, before=str(shown[0].pk)) if shown and newer else ""


def _marker(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InputError(
            "The page marker in the address cannot be read.", remedy="Open the list from its beginning."
        )
    return int(text or "0")


@require_POST
def replay(request: HttpRequest, key: int) -> HttpResponse:
    """Look at a delivery anew, as a further attempt."""
    viewer = _staff(request)
    delivery = HookDelivery.objects.visible_to(viewer, CURATE).defer("body").filter(pk=key).first()
    if delivery is None:
        raise Http404("There is no such delivery.")
    try:
        again = replay_delivery(actor=viewer, delivery=delivery)
    except CallboardError as error:
        messages.error(request, f"{error.message} {error.remedy}")
    else:
        messages.success(request, f"Replayed: {again.message}")
    return HttpResponseRedirect(reverse("catalog:hook", args=[delivery.hook_id]))
