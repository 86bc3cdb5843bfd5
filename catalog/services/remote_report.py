"""What was taken from another instance and what was lost: written with every sync, read by pages, API and commands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone

from catalog.ingest.remote import CONFLICT, LATER, LEFT_OUT, REFUSED, TAKEN, RemoteReading
from catalog.models import RemoteEntry, RemoteReport, Source, Sync
from portal.access.viewer import Viewer
from portal.core.errors import NotFoundError

REASON = "the report of a sync is about all that it read"
#: Examples of each sort.
EXAMPLES = 10
MOST_ORIGINS = 100
NOT_TAKEN = "Its other end is not taken from there."
NOT_DERIVED = "No document declares it here: it comes from a processor or kind of that instance."


def store_report(*, source: Source, sync: Sync, reading: RemoteReading, kept: AbstractSet[str]) -> None:
    """Keep the report of a sync, in its transaction.

    Args:
        kept: references that were not read again.
    """
    last = _latest(source)
    data = _report(source, reading, kept)
    if last is not None and reading.locations is None and not reading.locations_error:
        data["locations"] = last.data["locations"]  # not asked this time: nothing had changed
    RemoteReport.objects.update_or_create(
        sync=sync, defaults={"source": source, "data": data, "created_at": timezone.now()}
    )


def latest_report(viewer: Viewer, source: Source) -> RemoteReport:
    """The report of the last reading of a source.

    Raises:
        NotFoundError: it is no other instance, or was not read yet.
    """
    rows = RemoteReport.objects.visible_to(viewer).filter(source=source).select_related("sync")
    report: RemoteReport | None = rows.order_by("-created_at", "-pk").first()
    if report is None:
        what = "was not read yet" if source.type == Source.Type.REMOTE else "is not another instance"
        raise NotFoundError(
            f"There is no report of {source.name}: it {what}.",
            code="catalog.remote.no-report",
            remedy="Reports are about sources of the type remote; each reading writes one.",
        )
    return report


def _latest(source: Source) -> RemoteReport | None:
    rows = RemoteReport.objects.unrestricted(REASON).filter(source=source)
    latest: RemoteReport | None = rows.order_by("-created_at", "-pk").first()
    return latest


def _report(source: Source, reading: RemoteReading, kept: AbstractSet[str]) -> dict[str, Any]:
    entries = RemoteEntry.objects.unrestricted(REASON).filter(source=source)
    outcomes = {
        row["outcome"]: row["n"] for row in entries.order_by().values("outcome").annotate(n=Count("pk"))
    }
    errors = entries.exclude(status_error="")
    return {
        "read_at": timezone.now().isoformat(timespec="seconds"),
        "complete": reading.complete and not reading.error,
        "error": reading.error,
        "listed": reading.listed,
        "fetched": reading.fetched,
        "gone": len(reading.gone),
        "requests": reading.requests,
        "bytes": reading.bytes,
        "pages": reading.pages,
        "unreadable": reading.unreadable,
        "taken": outcomes.get(TAKEN, 0),
        "kinds": _kinds(source, kept),
        "refused": _with_examples(entries, REFUSED, outcomes),
        "left_out": _with_examples(entries, LEFT_OUT, outcomes),
        "conflicts": _with_examples(entries, CONFLICT, outcomes),
        "later": _with_examples(entries, LATER, outcomes),
        "lost_relations": _lost_relations(source),
        "status_errors": {
            "count": errors.count(),
            "examples": [
                {"ref": ref, "reason": text}
                for ref, text in errors.order_by("ref").values_list("ref", "status_error")[:EXAMPLES]
            ],
        },
        "origins": [
            {"origin": row["origin"], "entities": row["n"]}
            for row in entries.filter(outcome__in=(TAKEN, CONFLICT))
            .order_by()
            .values("origin")
            .annotate(n=Count("pk"))
            .order_by("-n", "origin")[:MOST_ORIGINS]
        ],
        "locations": {
            "count": None if reading.locations is None else len(reading.locations),
            "error": reading.locations_error,
            "examples": [str(location) for location in (reading.locations or ())[:EXAMPLES]],
        },
    }


def _kinds(source: Source, kept: AbstractSet[str]) -> list[dict[str, Any]]:
    entries = RemoteEntry.objects.unrestricted(REASON).filter(source=source)
    unchanged: dict[str, int] = defaultdict(int)
    for ref, kind in entries.filter(outcome=TAKEN).values_list("ref", "kind").iterator():
        unchanged[kind] += ref in kept
    rows = (
        entries.order_by()
        .values("kind")
        .annotate(
            taken=Count("pk", filter=Q(outcome=TAKEN)),
            conflicts=Count("pk", filter=Q(outcome=CONFLICT)),
            refused=Count("pk", filter=Q(outcome=REFUSED)),
            left_out=Count("pk", filter=Q(outcome=LEFT_OUT)),
            later=Count("pk", filter=Q(outcome=LATER)),
            lost_relations=Sum("lost_count"),
            status_errors=Count("pk", filter=~Q(status_error="")),
        )
        .order_by("kind")
    )
    return [{**row, "unchanged": unchanged.get(row["kind"], 0)} for row in rows]


def _with_examples(entries: Any, outcome: str, outcomes: Mapping[str, int]) -> dict[str, Any]:
    rows = entries.filter(outcome=outcome).order_by("ref").values_list("ref", "reason")[:EXAMPLES]
    return {
        "count": outcomes.get(outcome, 0),
        "examples": [{"ref": ref, "reason": reason} for ref, reason in rows] if outcome in outcomes else [],
    }


def _lost_relations(source: Source) -> dict[str, Any]:
    """How many, by type as far as they are kept, and the first ones with the reason."""
    rows = RemoteEntry.objects.unrestricted(REASON).filter(source=source, lost_count__gt=0)
    total = rows.aggregate(n=Sum("lost_count"))["n"] or 0
    types: dict[str, int] = defaultdict(int)
    examples: list[dict[str, str]] = []
    for ref, lost in rows.order_by("ref").values_list("ref", "lost").iterator():
        for kind, target in lost:
            types[kind] += 1
            if len(examples) < EXAMPLES:
                examples.append({"ref": ref, "type": kind, "target": target})
    taken = set(
        RemoteEntry.objects.unrestricted(REASON)
        .filter(source=source, ref__in=[e["target"] for e in examples], outcome__in=(TAKEN, CONFLICT))
        .values_list("ref", flat=True)
    )
    for example in examples:
        example["reason"] = NOT_DERIVED if example["target"] in taken else NOT_TAKEN
    return {"count": total, "types": dict(sorted(types.items())), "examples": examples}
