"""Sources: register, change, remove, read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction

from catalog.exceptions import SourceTakenError
from catalog.ingest.locations import generated_name
from catalog.ingest.remote import filters_of
from catalog.models import Source
from catalog.query import parse_filters
from catalog.refs import LocationRef
from catalog.selectors import rivals_of
from catalog.services.publishing import withdraw_source
from catalog.services.versions import wait_for_publications
from portal.access.services import rename_source_of_principals, withdraw_principals
from portal.access.viewer import Viewer
from portal.audit.services import record
from portal.core.errors import InputError, NotFoundError
from portal.jobs.models import Job
from portal.jobs.services import enqueue, hold_job, remove_schedule, set_schedule

SYNC_JOB = "catalog.sync_source"
#: The address of an entity there has to fit into the columns for addresses.
LONGEST_REMOTE = 1_000
AUDITED = (
    "name", "type", "target", "branch", "pattern", "presence", "allowed_kinds", "may_define_people", "priority",
    "enabled", "interval", "stale_after", "view_url",
)  # fmt: skip


def generated_ref(location_type: str, target: str) -> str:
    """Reference of the Location entity that stands for a registration."""
    return f"location:default/{generated_name(LocationRef(location_type, target))}"


def _location_type(source_type: str) -> str:
    return "file" if source_type == Source.Type.FILE else "url"


def location_ref_of(source_type: str, target: str) -> str:
    """The same for a source of this type."""
    return generated_ref(_location_type(source_type), target)


def _free_location_ref(source: Source) -> str:
    """Of a source's Location: by its target, unless one that was pointed elsewhere has that for its own still."""
    ref = location_ref_of(source.type, source.target)
    same = Source.objects.unrestricted("who has this Location").filter(entity_ref=ref)
    moved = same.exclude(type=source.type, target=source.target).exists()
    return location_ref_of(source.type, f"{source.target}#{source.pk}") if moved else ref


def check_source(source: Source) -> None:
    """Refuse a target that can be none, or that may not be registered in this way.

    Raises:
        InputError: which, and why.
    """
    if source.type == Source.Type.MANAGED:
        if source.interval:
            raise InputError(
                "What is kept here is not read on a schedule.",
                code="catalog.source.interval",
                remedy="Set the interval to 0.",
            )
        return
    if not source.target.strip():
        raise InputError("A source needs a target.", code="catalog.source.target-missing")
    compact = "".join(ch for ch in source.target if ch > " ").lower()
    if compact.startswith(("javascript:", "data:")):
        raise InputError(
            f"{source.target[:80]!r} is no place to read from.", code="catalog.source.target-scheme"
        )
    if "\0" in source.target:
        raise InputError("The target has a NUL character in it.", code="catalog.source.target-nul")
    if source.view_url and not source.view_url.startswith(("http://", "https://")):
        raise InputError(
            f"{source.view_url[:80]!r} is no address of a portal.",
            code="catalog.source.view-url",
            remedy="Write it as https://backstage.example.com.",
        )
    if source.type == Source.Type.REMOTE:
        _check_remote(source)
    if source.type == Source.Type.FILE and source.registered_by in (
        Source.RegisteredBy.API,
        Source.RegisteredBy.ADMIN,
    ):
        raise InputError(
            "Files and folders of this machine are registered by settings or the command line only.",
            code="catalog.source.file-refused",
            remedy="Run `manage.py source add PATH` on the server.",
        )


def _check_remote(source: Source) -> None:
    parts = urlsplit(source.target)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise InputError(
            f"{source.target[:200]!r} is no address of a catalog API.",
            code="catalog.source.target-remote",
            remedy="Write it as https://backstage.example.com/api/catalog.",
        )
    if len(source.target) > LONGEST_REMOTE:
        raise InputError(
            f"The address of another instance has at most {LONGEST_REMOTE} characters.",
            code="catalog.source.target-remote",
        )
    parse_filters(filters_of(source.pattern))


def people_source(name: str) -> str:
    """What ``portal.access`` calls the source ``name`` that defines people."""
    return f"catalog:{name}"


def _plan_syncs(source: Source, actor: Viewer) -> None:
    set_schedule(
        actor=actor,
        name=f"catalog.sync:{source.pk}",
        kind=SYNC_JOB,
        subject=source.name,
        payload={"source": str(source.pk)},
        every=max(source.interval, 1),
        jitter=max(source.interval // 10, 1),
        enabled=source.enabled and source.interval > 0,
    )


@transaction.atomic
def create_source(
    *,
    actor: Viewer,
    target: str,
    name: str = "",
    type: str = Source.Type.URL,
    registered_by: str = Source.RegisteredBy.ADMIN,
    sync: bool = True,
    **values: Any,
) -> Source:
    """Register a source and queue its first reading.

    Args:
        name: what people call it; made from the target where empty.
        values: further fields of ``Source``.

    Raises:
        InputError: the target cannot be one.
        SourceTakenError: this target is registered already.
    """
    if type == Source.Type.MANAGED:  # nothing outside is read: the name says where it is kept
        target, sync = name, False
        values["interval"] = 0
        if not name:
            raise InputError("What is kept here needs a name.", code="catalog.source.name-missing")
    values.setdefault("interval", settings.CALLBOARD_SYNC_INTERVAL)
    source = Source(
        target=target,
        type=type,
        registered_by=registered_by,
        registered_actor=actor.actor,
        name=name or _free_name(target),
        **values,
    )
    source.entity_ref = _free_location_ref(source)
    check_source(source)
    try:
        with transaction.atomic():
            source.save(force_insert=True)
    except IntegrityError as error:
        same = Source.objects.unrestricted("which registration has this target").filter(
            type=type, target=target, branch=source.branch, pattern=source.pattern
        )
        taken = same.first()
        if taken is None:
            raise SourceTakenError(
                f"There is already a source named {source.name}.", remedy="Choose another name."
            ) from error
        seen = Source.objects.visible_to(actor).filter(pk=taken.pk).exists()
        raise SourceTakenError(
            f"Location {_location_type(type)}:{target} is registered already{f', as {taken.name}' if seen else ''}.",
            details={"id": str(taken.pk)},
        ) from error
    record(
        actor=actor.actor,
        verb="catalog.source.created",
        target=source,
        after={f: getattr(source, f) for f in AUDITED},
    )
    _plan_syncs(source, actor)
    if sync:
        request_sync(actor=actor, source=source)
    return source


def _free_name(target: str) -> str:
    base = target.rstrip("/")[-100:] or "source"
    names = set(
        Source.objects.unrestricted("names are unique for everybody")
        .filter(name__startswith=base)
        .values_list("name", flat=True)
    )
    if base not in names:
        return base
    return next(name for n in range(2, len(names) + 3) if (name := f"{base} {n}") not in names)


@transaction.atomic
def update_source(*, actor: Viewer, source: Source, changes: Mapping[str, Any]) -> Source:
    """Change fields of a source; what it declared before is compared anew at the next reading, which is queued.

    Raises:
        NotFoundError: it is gone. InputError, SourceTakenError: as for creating.
    """
    stored = Source.objects.unrestricted("the row to change").filter(pk=source.pk).first()
    if stored is None:
        raise NotFoundError(f"There is no source {source.pk}.")
    before = {f: getattr(stored, f) for f in changes if getattr(stored, f) != changes[f]}
    for field, value in changes.items():
        setattr(stored, field, value)
    check_source(stored)
    try:
        with transaction.atomic():
            stored.save(update_fields=list(changes))
    except IntegrityError as error:
        raise SourceTakenError(f"Another source has the target or name of {stored.name}.") from error
    if "name" in before:
        rename_source_of_principals(source=people_source(before["name"]), new=people_source(stored.name))
    if "may_define_people" in before and not stored.may_define_people:
        withdraw_principals(actor=actor, source=people_source(stored.name))
    if before:
        after = {f: changes[f] for f in before}
        record(actor=actor.actor, verb="catalog.source.changed", target=stored, before=before, after=after)
    _plan_syncs(stored, actor)
    if stored.enabled:
        request_sync(actor=actor, source=stored, force=True)
    if "priority" in before:  # others may win now what this one has
        for rival in rivals_of(stored):
            request_sync(actor=actor, source=rival, force=True)
    return stored


@transaction.atomic
def delete_source(*, actor: Viewer, source: Source) -> int:
    """Remove a source with everything it declared, at once. Returns how many entities went.

    Raises:
        NotFoundError: it is gone already.
    """
    stored = Source.objects.unrestricted("the row to remove").filter(pk=source.pk).first()
    if stored is None:
        raise NotFoundError(f"There is no source {source.pk}.")
    if stored.reading_job is not None:
        # A reading ends the transaction it is in first, and finds its source gone in the next one.
        hold_job(job_id=stored.reading_job)
    wait_for_publications()
    # From here on nobody adds a row that names it: what somebody else added between our deleting what does and the
    # source itself would keep it.
    if (
        Source.objects.unrestricted("the row to remove").select_for_update().filter(pk=stored.pk).first()
        is None
    ):
        raise NotFoundError(f"There is no source {source.pk}.")
    removed, heirs = withdraw_source(actor=actor, source=stored)
    withdraw_principals(actor=actor, source=people_source(stored.name))
    remove_schedule(name=f"catalog.sync:{stored.pk}")
    before = {f: getattr(stored, f) for f in AUDITED}
    after = {"entities_removed": removed}
    record(actor=actor.actor, verb="catalog.source.deleted", target=stored, before=before, after=after)
    stored.delete()
    for heir in heirs:
        request_sync(actor=actor, source=heir, force=True)
    return removed


def request_sync(*, actor: Viewer, source: Source, force: bool = False) -> Job:
    """Queue a reading; one that waits already is returned instead.

    Args:
        force: compare everything, also where the version is the one last read.
    """
    payload = {"source": str(source.pk), **({"force": True} if force else {})}
    key = f"catalog.sync:{source.pk}" + (":force" if force else "")
    return enqueue(actor=actor, kind=SYNC_JOB, subject=source.name, payload=payload, key=key)
