"""A job that reads a source, in words."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.urls import reverse

from catalog.models import Source, Sync
from portal.access.viewer import Viewer
from portal.jobs.models import Job
from portal.jobs.outcomes import Described, Link


def describe_sync(viewer: Viewer, job: Job) -> Described:
    """What is read, and what came of it. One statement."""
    source = _source(viewer, job)
    name = source.name if source is not None else job.subject
    links = []
    if source is not None:
        links.append(Link(f"Source {source.name}", reverse("catalog:source", args=[source.pk])))
    title = f"Read {name}"
    result: dict[str, Any] = job.result or {}
    if job.state != Job.State.SUCCEEDED or not result:
        return Described(title, links=tuple(links))
    problems = _number(result, "problems")
    if problems and source is not None:
        links.append(Link(counted(problems, "problem"), f"{reverse('catalog:problems')}?source={source.pk}"))
    if result.get("state") == Sync.State.FAILED:
        why = source.last_error if source is not None else ""
        detail = f"{why} What was read before is kept.".strip()
        return Described(title, "bad", f"{name} could not be read.", detail, tuple(links))
    level = "warn" if problems else "ok"
    detail = f"{counted(problems, 'problem')} to mend." if problems else ""
    return Described(title, level, f"Read {name}: {changes_in_words(result)}.", detail, tuple(links))


def changes_in_words(result: dict[str, Any]) -> str:
    """``nothing changed``, or ``1 added, 3 changed, 2 removed``."""
    parts = [f"{n} {word}" for word in ("added", "changed", "removed") if (n := _number(result, word))]
    return ", ".join(parts) or "nothing changed"


def counted(number: int, noun: str) -> str:
    """``1 problem``, ``2 problems``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _number(result: dict[str, Any], name: str) -> int:
    value = result.get(name)
    return value if isinstance(value, int) else 0


def _source(viewer: Viewer, job: Job) -> Source | None:
    try:
        key = UUID(str(job.payload.get("source")))
    except ValueError:
        return None
    return Source.objects.visible_to(viewer).filter(pk=key).first()
