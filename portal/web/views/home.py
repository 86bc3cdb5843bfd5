"""Home: what needs you, what is yours, what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from portal.access.viewer import Viewer
from portal.plugins.points import HomeCard
from portal.plugins.producing import produce
from portal.plugins.registry import registry


@dataclass(frozen=True, slots=True)
class Card:
    """A card as the page shows it: its template with what it made, or why there is nothing."""

    key: str
    title: str
    template: str
    context: Mapping[str, Any] | None
    age: float
    problem: str


def _cards(viewer: Viewer, column: str) -> list[Card]:
    cards = []
    for entry in registry.active(HomeCard):
        if entry.column != column or (entry.permission and not viewer.allows(entry.permission)):
            continue
        made = produce(entry, partial(entry.context, viewer), subject=viewer.actor)
        if made.value is not None or made.problem:
            cards.append(Card(entry.key, entry.title, entry.template, made.value, made.age, made.problem))
    return cards


def home(request: HttpRequest) -> HttpResponse:
    """Every card that is on and has something to show, in three places: across, main, side."""
    viewer: Viewer = request.viewer  # type: ignore[attr-defined]  # set by AccessMiddleware
    columns = {column: _cards(viewer, column) for column in ("lead", "main", "side")}
    return render(request, "web/home.html", columns)
