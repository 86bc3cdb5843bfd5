"""Bulk operations as pages show them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse

from catalog.models import BulkItem, BulkOperation
from catalog.presenters.refs import entity_url
from catalog.services.bulk.preview import CHANGE, REFUSED, UNCHANGED, Foreseen, Preview

SHOWN = 50
#: Words of the form to the fields that they set; an empty value removes those that may be absent.
FIELDS = {
    "owner": ("Owner", "owner"),
    "lifecycle": ("Lifecycle", "lifecycle"),
    "type": ("Type", "type"),
    "system": ("System", "system"),
}
_LEVELS = {CHANGE: "ok", UNCHANGED: "idle", REFUSED: "warn"}
_WORDS = {CHANGE: "Changes", UNCHANGED: "Stays as it is", REFUSED: "Refused"}
_VERBS = {
    BulkOperation.Verb.DELETE: "Goes",
    BulkOperation.Verb.REFRESH: "Is refreshed",
    BulkOperation.Verb.UNREGISTER: "Is unregistered",
}
_BUTTONS = {
    BulkOperation.Verb.SET: "Change",
    BulkOperation.Verb.DELETE: "Delete",
    BulkOperation.Verb.REFRESH: "Refresh",
    BulkOperation.Verb.UNREGISTER: "Unregister",
}
_OUTCOMES = {
    BulkItem.Outcome.PENDING: ("wait", "Waits"),
    BulkItem.Outcome.DONE: ("ok", "Done"),
    BulkItem.Outcome.UNCHANGED: ("idle", "Stays as it is"),
    BulkItem.Outcome.REFUSED: ("warn", "Refused"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that changes; a side is empty where it has nothing."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ForeseenRow:
    ref: str
    url: str
    level: str
    word: str
    reason: str
    differences: list[Difference]


@dataclass(frozen=True, slots=True)
class OperationRow:
    """An operation in the list."""

    title: str
    url: str
    level: str
    state: str
    actor: str
    created_at: datetime
    done: int
    refused: int
    pending: int
    total: int


@dataclass(frozen=True, slots=True)
class ItemRow:
    ref: str
    url: str
    level: str
    word: str
    reason: str


def foreseen_rows(preview: Preview) -> list[ForeseenRow]:
    """The first of each outcome: what changes, then what is refused, then what stays."""
    order = (CHANGE, REFUSED, UNCHANGED)
    items = sorted(preview.items, key=lambda item: order.index(item.outcome))[:SHOWN]
    return [_foreseen(item, preview.change.verb) for item in items]


def button_of(verb: str) -> str:
    """The word on the button that does it."""
    return _BUTTONS[BulkOperation.Verb(verb)]


def _foreseen(item: Foreseen, verb: str) -> ForeseenRow:
    word = _VERBS.get(BulkOperation.Verb(verb), "") if item.outcome == CHANGE else ""
    differences = [
        Difference(each["path"], _shown(each.get("before")), _shown(each.get("after")))
        for each in item.differences
    ]
    return ForeseenRow(
        item.ref,
        _url(item.ref, item.number),
        _LEVELS[item.outcome],
        word or _WORDS[item.outcome],
        item.reason,
        differences,
    )


def _shown(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:119]}…"


def _url(ref: str, number: int | None) -> str:
    return entity_url(ref) if number is not None else ""


def operation_title(operation: BulkOperation) -> str:
    """What it does, in words."""
    if operation.verb == BulkOperation.Verb.UNDO and operation.undoes is not None:
        return f"Undo: {operation_title(operation.undoes)}"
    if operation.verb == BulkOperation.Verb.SET and operation.change:
        return "Set " + ", ".join(f"{path} to {value}" for path, value in _leaves(operation.change))
    return BulkOperation.Verb(operation.verb).label


def _leaves(change: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, str]]:
    for key, value in change.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}".removeprefix("spec."), "nothing" if value is None else _shown(value)


def operation_row(operation: BulkOperation, outcomes: Mapping[str, int], *, running: bool) -> OperationRow:
    pending = outcomes[BulkItem.Outcome.PENDING]
    level, state = "ok", "Done"
    if running:
        level, state = "run", "Running"
    elif operation.state != BulkOperation.State.DONE:
        level, state = "warn", "Ended early"
    elif outcomes[BulkItem.Outcome.REFUSED]:
        level, state = "warn", "Done, some refused"
    return OperationRow(
        title=operation_title(operation),
        url=reverse("catalog:operation", args=[operation.pk]),
        level=level,
        state=state,
        actor=operation.actor.partition(":")[2] or operation.actor,
        created_at=operation.created_at,
        done=outcomes[BulkItem.Outcome.DONE],
        refused=outcomes[BulkItem.Outcome.REFUSED],
        pending=pending,
        total=operation.total,
    )


def item_row(item: BulkItem) -> ItemRow:
    level, word = _OUTCOMES[BulkItem.Outcome(item.outcome)]
    return ItemRow(item.ref, entity_url(item.ref) if ":" in item.ref else "", level, word, item.reason)
