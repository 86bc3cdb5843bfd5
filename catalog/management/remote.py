"""What commands say about another instance, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from catalog.services.remote_migration import CANNOT, KNOWN, REGISTER, REGISTERED, Migration

_PARTS = (
    ("refused", "refused"), ("conflicts", "another source has"), ("left_out", "left out"),
    ("later", "left for the next reading"), ("status_errors", "with errors there"),
)  # fmt: skip
_WORDS = {REGISTER: "would register", REGISTERED: "registered", KNOWN: "known as", CANNOT: "cannot"}


def report_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """A report of what was taken and lost (:mod:`catalog.services.remote_report`)."""
    if data["error"]:
        yield f"The last reading was not complete: {data['error']}"
    yield (
        f"read {data['read_at']}: {data['listed']} listed, {data['taken']} taken, {data['fetched']} read whole,"
        f" {data['gone']} gone; {data['requests']} requests, {data['bytes']} bytes"
    )
    for kind in data["kinds"]:
        parts = [f"{kind[key]} {key.replace('_', ' ')}" for key in kind if key != "kind" and kind[key]]
        yield f"{kind['kind']:16} {', '.join(parts) or 'none'}"
    for key, words in _PARTS:
        yield from _examples(f"{data[key]['count']} {words}", data[key])
    lost = data["lost_relations"]
    types = ", ".join(f"{name} {count}" for name, count in lost["types"].items())
    yield f"{lost['count']} relations lost{f': {types}' if types else ''}"
    for one in lost["examples"]:
        yield f"    {one['ref']} {one['type']} {one['target']}: {one['reason']}"
    locations = data["locations"]
    if locations["count"] is None:
        yield f"its registered locations are not known: {locations['error'] or 'not asked yet'}"
    else:
        yield f"{locations['count']} locations are registered there; `manage.py source migrate` registers them here"


def _examples(title: str, part: Mapping[str, Any]) -> Iterator[str]:
    yield title
    for one in part["examples"]:
        yield f"    {one['ref']}: {one['reason']}"


def migration_lines(name: str, migration: Migration, *, apply: bool) -> Iterator[str]:
    """What a migration did or would do, and what is left to do."""
    for move in migration.moves:
        what = f" ({move.reason})" if move.outcome in (KNOWN, CANNOT) else ""
        yield f"{_WORDS[move.outcome]:15} {move.location}{what}: {move.entities} entities"
    if not migration.moves:
        yield "No location is registered there."
    for origin, entities in migration.remaining.items():
        yield f"{'not registered':15} {origin}: {entities} entities, which go with {name} unless a source brings them"
    yield f"{migration.own} entities are with sources of our own already and stay; {migration.left} are with {name}"
    if not apply:
        yield "Nothing was registered. With --apply it is."
    else:
        yield f"When their sources were read and `manage.py source migrate` shows what you expect, remove {name}."
