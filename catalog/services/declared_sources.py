"""Sources as a file lists them: registered, changed, disabled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from catalog.models import Entity, Kind, Source
from catalog.services.sources import create_source, location_ref_of, update_source
from catalog.services.sources_file import DeclaredSource, SourcesFile
from portal.access.viewer import Viewer
from portal.core.errors import CallboardError, InputError

REASON = "the file decides about its sources, whoever has it applied"
#: Who registers what the file lists. It also tells these sources from others that settings brought, like the demo's.
FILE = Viewer.system("sources file")


@dataclass(slots=True)
class Applied:
    """What became of a file.

    Attributes:
        created, unchanged: names.
        changed: fields by name.
        disabled: sources that are no longer listed, with the number of entities of them that stay.
        has_rules: it says what sources without a list of their own may bring.
    """

    created: list[str] = field(default_factory=list)
    changed: dict[str, list[str]] = field(default_factory=dict)
    disabled: dict[str, int] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    has_rules: bool = False


def apply_declared_sources(*, path: Path, dry_run: bool = False) -> Applied:
    """Make the registered sources what the file says: all of it or nothing.

    A source that is no longer listed is disabled and keeps its entities; one that is listed under another name keeps
    its row. What else was registered is never touched.

    Args:
        dry_run: go all the way, then take it back.

    Raises:
        InputError: something in the file is wrong, or a name or target in it belongs to another source.
    """
    file = SourcesFile(path)
    with transaction.atomic():
        applied = _apply(file)
        if dry_run:
            transaction.set_rollback(True)
    return applied


def _apply(file: SourcesFile) -> Applied:
    _refuse_unknown_kinds(file)
    rows = Source.objects.unrestricted(REASON)
    ours = list(
        rows.filter(registered_by=Source.RegisteredBy.SETTINGS, registered_actor=FILE.actor).order_by("name")
    )
    applied = Applied(has_rules=file.rules is not None)
    pairs = _pairs(file.entries, ours)
    kept = {row.pk for row in pairs.values()}
    _refuse_taken(file, kept)
    for row in ours:
        if row.pk not in kept and row.enabled:
            update_source(actor=FILE, source=row, changes={"enabled": False})
            applied.disabled[row.name] = Entity.objects.unrestricted(REASON).filter(source=row).count()
    # Changes first: they may free the place that a new source takes.
    for entry in sorted(file.entries, key=lambda entry: entry.name not in pairs):
        try:
            _write(entry, pairs.get(entry.name), applied)
        except CallboardError as error:
            raise file.refusal(entry.at, error.message, error.remedy, code=error.code) from error
    return applied


def _write(entry: DeclaredSource, row: Source | None, applied: Applied) -> None:
    values = dict(entry.values)
    if row is None:
        create_source(
            actor=FILE, registered_by=Source.RegisteredBy.SETTINGS, sync=values["enabled"], **values
        )
        applied.created.append(entry.name)
        return
    changes: dict[str, Any] = {f: value for f, value in values.items() if getattr(row, f) != value}
    if not changes:
        applied.unchanged.append(entry.name)
        return
    applied.changed[entry.name] = list(changes)
    if "target" in changes or "type" in changes:
        changes["entity_ref"] = location_ref_of(values["type"], values["target"])
    update_source(actor=FILE, source=row, changes=changes)


def _pairs(entries: Sequence[DeclaredSource], ours: Sequence[Source]) -> dict[str, Source]:
    """Entries and the rows they had before, by the name of the entry; by what is read where it was renamed."""
    by_name = {row.name: row for row in ours}
    found = {entry.name: by_name[entry.name] for entry in entries if entry.name in by_name}
    taken = {row.pk for row in found.values()}
    by_place = {_place(row): row for row in ours if row.pk not in taken}
    return found | {e.name: by_place[e.place] for e in entries if e.name not in found and e.place in by_place}


def _place(row: Source) -> tuple[str, ...]:
    return row.type, row.target, row.branch, row.pattern


def _refuse_taken(file: SourcesFile, kept: set[UUID]) -> None:
    names = [entry.name for entry in file.entries]
    targets = [entry.values["target"] for entry in file.entries]
    others = list(
        Source.objects.unrestricted(REASON)
        .filter(Q(name__in=names) | Q(target__in=targets))
        .exclude(pk__in=kept)
    )
    by_name, by_place = {row.name: row for row in others}, {_place(row): row for row in others}
    for entry in file.entries:
        if row := by_name.get(entry.name):
            raise _taken(file, (*entry.at, "name"), row, f"there is already a source named {row.name}")
        if row := by_place.get(entry.place):
            raise _taken(file, (*entry.at, "target"), row, f"it is registered already, as {row.name}")


def _taken(file: SourcesFile, at: tuple[str | int, ...], row: Source, message: str) -> InputError:
    how = Source.RegisteredBy(row.registered_by).label
    return file.refusal(
        at,
        f"{message} (registered by: {how}).",
        f'Take it out of the file, or run `manage.py source remove "{row.name}"` first.',
        code="catalog.source.taken",
    )


def _refuse_unknown_kinds(file: SourcesFile) -> None:
    known = set(Kind.objects.unrestricted("kinds are the same for everybody").values_list("name", flat=True))
    remedy = f"Known kinds: {', '.join(sorted(known))}."
    lower = {name.lower() for name in known}
    for entry in file.entries:
        for i, kind in enumerate(entry.values["allowed_kinds"]):
            if kind.lower() not in lower:
                raise file.refusal(
                    (*entry.at, "allowed_kinds", i),
                    f"there is no kind {kind}.",
                    remedy,
                    code="catalog.kind.unknown",
                )
    for i, rule in enumerate(file.rules.rules if file.rules else ()):
        for kind, _ in sorted(rule.kinds):
            if kind not in lower:
                raise file.refusal(
                    ("rules", i, "allow"), f"there is no kind {kind}.", remedy, code="catalog.kind.unknown"
                )
