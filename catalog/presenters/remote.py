"""The report of another instance as its page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.utils.dateparse import parse_datetime

from catalog.presenters.refs import KindBook, entity_url


@dataclass(frozen=True, slots=True)
class KindRow:
    """What came of one kind. ``not_taken`` are refused, left out, left for later, or with another source."""

    title: str
    icon: str
    taken: int
    unchanged: int
    not_taken: int
    lost_relations: int
    status_errors: int


@dataclass(frozen=True, slots=True)
class Example:
    """One entity and why. ``url`` is empty where it is not here."""

    ref: str
    reason: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Loss:
    """One sort of what was not taken as it is there."""

    level: str
    title: str
    hint: str
    examples: list[Example]
    more: int


@dataclass(frozen=True, slots=True)
class RemoteView:
    """The section of a source's page."""

    read_at: datetime | None
    listed: int
    requests: int
    bytes: int
    rows: list[KindRow]
    losses: list[Loss]
    locations: int | None
    locations_error: str


_SORTS = (
    ("refused", "bad", "refused", "Not valid here, or of a kind that may not come."),
    ("conflicts", "warn", "with another source", "That source has the better priority, or was first."),
    ("later", "wait", "left for the next reading", "Changed or went while they were read."),
    ("status_errors", "warn", "with errors there", "That instance shows their last good version."),
    ("left_out", "idle", "left out", "Stands for what is registered there, or came from here."),
)


def instance_name(target: str) -> str:
    """What people call another instance: its host."""
    return urlsplit(target).netloc or target


def remote_view(data: Mapping[str, Any], kinds: KindBook) -> RemoteView:
    """The stored report (:mod:`catalog.services.remote_report`) for the page."""
    locations = data["locations"]
    return RemoteView(
        read_at=parse_datetime(data["read_at"]),
        listed=data["listed"],
        requests=data["requests"],
        bytes=data["bytes"],
        rows=[_row(row, kinds) for row in data["kinds"]],
        losses=_losses(data),
        locations=locations["count"],
        locations_error=locations["error"],
    )


def _row(row: Mapping[str, Any], kinds: KindBook) -> KindRow:
    kind = kinds[row["kind"]]
    not_taken = sum(row[name] for name in ("refused", "left_out", "later", "conflicts"))
    numbers = row["taken"], row["unchanged"], not_taken, row["lost_relations"], row["status_errors"]
    return KindRow(kind.title, kind.icon, *numbers)


def _losses(data: Mapping[str, Any]) -> list[Loss]:
    losses = []
    for key, level, words, hint in _SORTS:
        part = data[key]
        if part["count"]:
            here = key in ("conflicts", "status_errors")
            examples = [
                Example(one["ref"], one["reason"], entity_url(one["ref"]) if here else "")
                for one in part["examples"]
            ]
            title = f"{part['count']:,} {'entity' if part['count'] == 1 else 'entities'} {words}"
            losses.append(Loss(level, title, hint, examples, part["count"] - len(examples)))
    lost = data["lost_relations"]
    if lost["count"]:
        examples = [
            Example(one["ref"], f"{one['type']} {one['target']}. {one['reason']}", entity_url(one["ref"]))
            for one in lost["examples"]
        ]
        title = f"{lost['count']:,} {'relation' if lost['count'] == 1 else 'relations'} lost"
        hint = "Shown there, and declared by nothing that was taken."
        losses.insert(1, Loss("warn", title, hint, examples, lost["count"] - len(examples)))
    return losses
