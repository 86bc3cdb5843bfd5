"""The first page of the admin: what needs a person, each with its number and the way there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils import timezone

from catalog.models import Entity, Problem, Source, Sync
from portal.access.models import Token
from portal.access.viewer import Viewer
from portal.connections.models import Connection
from portal.jobs.models import Job
from portal.plugins.registry import registry
from portal.web.admin.plugins import unwell

RECENT = timedelta(days=1)
SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Card:
    """One thing to look after.

    Attributes:
        state: ``ok``, ``warn`` or ``bad``.
        icon: of unfold's symbols.
        note: what the number counts.
    """

    title: str
    count: int
    state: str
    icon: str
    note: str
    url: str


def needs_a_person(viewer: Viewer) -> list[Card]:
    """Cards, the urgent ones first. One statement each."""
    now = timezone.now()
    problems = Problem.objects.visible_to(viewer)
    sources = Source.objects.visible_to(viewer).filter(enabled=True, state=Sync.State.FAILED)
    jobs = Job.objects.visible_to(viewer).filter(state=Job.State.FAILED, finished_at__gte=now - RECENT)
    resting = Connection.objects.visible_to(viewer).filter(enabled=True, failures__gt=0)
    expiring = Token.objects.visible_to(viewer).filter(
        revoked_at=None, expires_at__gt=now, expires_at__lt=now + SOON
    )
    broken = [*(plugin.name for plugin in registry.plugins if plugin.error), *unwell()]
    cards = [
        _card("Errors in sources", problems.filter(severity="error").count(), "bad", "report",
              "Documents or places that could not be taken", "catalog_problem", "?severity__exact=error"),
        _card("Failed sources", sources.count(), "bad", "cloud_off",
              "Their last reading failed; earlier data stays", "catalog_source", "?state=failed"),
        _card("Failed jobs", jobs.count(), "bad", "error",
              "In the last 24 hours", "jobs_job", "?state__exact=failed"),
        Card("Broken plugins", len(broken), "bad" if broken else "ok", "extension_off",
             "Could not be loaded, or say that they are not well", reverse("admin:plugins")),
        _card("Unresolved owners", _without_owner(viewer).count(), "warn", "person_off",
              "Entities whose owner is nobody the catalog knows", "catalog_entity", "?owner=unresolved"),
        _card("Warnings in sources", problems.filter(severity="warning").count(), "warn", "warning",
              "Taken, but worth mending", "catalog_problem", "?severity__exact=warning"),
        _card("Failing connections", resting.count(), "warn", "lan",
              "Their last call failed", "connections_connection", ""),
        _card("Expiring tokens", expiring.count(), "warn", "key",
              "Within two weeks", "access_token", ""),
    ]  # fmt: skip
    urgency = {"bad": 0, "warn": 1, "ok": 2}
    return sorted(cards, key=lambda card: urgency[card.state])


def _card(title: str, count: int, state: str, icon: str, note: str, model: str, query: str) -> Card:
    url = reverse(f"admin:{model}_changelist") + query
    return Card(title, count, state if count else "ok", icon, note, url)


def _without_owner(viewer: Viewer) -> QuerySet[Entity]:
    owners = Entity.objects.visible_to(viewer).filter(ref=OuterRef("owner_ref"))
    rows: QuerySet[Entity] = Entity.objects.visible_to(viewer).filter(
        ~Exists(owners), owner_ref__isnull=False
    )
    return rows
