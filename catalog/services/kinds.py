"""Kinds, annotations and tags: shipped rows, changes by admins, and the snapshot that processing works with."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from catalog.kinds import KindRegistry, compile_schema, shipped_annotations, shipped_rows
from catalog.models import AnnotationDefinition, Kind, KindVersion, TagDefinition
from catalog.services.versions import KINDS, current_version, raise_version
from portal.access.viewer import Viewer
from portal.audit.services import record
from portal.core.errors import ConflictError, InputError

REASON = "what kinds there are is the same for everybody"
_lock = threading.Lock()
_snapshot: tuple[int, KindRegistry] | None = None


def current_registry() -> KindRegistry:
    """The kinds as they are now. One small statement; rebuilt when their number was raised, in whichever process."""
    global _snapshot
    version = current_version(KINDS)
    found = _snapshot
    if found is None or found[0] != version:
        with _lock:
            found = _snapshot = (version, _build())
    return found[1]


def current_kinds_version() -> int:
    return current_version(KINDS)


def _build() -> KindRegistry:
    rows = []
    versions: dict[int, list[dict[str, Any]]] = {}
    for version in KindVersion.objects.unrestricted(REASON).filter(enabled=True):
        entry = {"api_version": version.api_version, "spec_type": version.spec_type, "schema": version.schema}
        versions.setdefault(version.kind_id, []).append(entry)
    for kind in Kind.objects.unrestricted(REASON).filter(enabled=True):
        row = {
            f: getattr(kind, f)
            for f in ("plural", "icon", "description", "default_allowed", "relations", "sorted_lists")
        }
        rows.append({"kind": kind.name, "versions": versions.get(kind.pk, []), **row})
    annotations = [
        {
            "key": a.key,
            "description": a.description,
            "value_type": a.value_type,
            "reader": a.reader,
            "example": a.example,
            "alias_of": a.alias_of.key if a.alias_of else "",
        }
        for a in AnnotationDefinition.objects.unrestricted(REASON).select_related("alias_of")
    ]
    tags = list(
        TagDefinition.objects.unrestricted(REASON).filter(alias_of=None).values_list("name", flat=True)
    )
    return KindRegistry.from_rows(rows, annotations=annotations, tags=tags or None)


@transaction.atomic
def install_shipped_kinds() -> int:
    """Bring the shipped rows up to date; what an admin switched off stays off, what an admin added stays.

    Returns:
        How many rows changed.
    """
    changed = 0
    for row in shipped_rows():
        values = {f: row[f] for f in ("plural", "icon", "description", "relations", "sorted_lists")}
        kind = Kind.objects.unrestricted(REASON).filter(name=row["kind"]).first()
        if kind is None:
            kind = Kind.objects.create(
                name=row["kind"],
                shipped=True,
                order=row["order"],
                default_allowed=row.get("default_allowed", True),
                **values,
            )
            changed += 1
        elif kind.shipped and any(getattr(kind, f) != v for f, v in values.items()):
            changed += Kind.objects.filter(pk=kind.pk).update(**values)
        if kind.shipped:
            changed += _install_versions(kind, row["versions"])
    known = set(AnnotationDefinition.objects.unrestricted(REASON).values_list("key", flat=True))
    fields = ("key", "description", "value_type", "reader", "example")
    new = [a for a in shipped_annotations() if a["key"] not in known]
    AnnotationDefinition.objects.bulk_create(
        [AnnotationDefinition(shipped=True, **{f: a[f] for f in fields if f in a}) for a in new]
    )
    for a in new:
        if a.get("alias_of"):
            target = AnnotationDefinition.objects.unrestricted(REASON).filter(key=a["alias_of"]).first()
            AnnotationDefinition.objects.filter(key=a["key"]).update(alias_of=target)
    changed += len(new)
    if changed:
        raise_version(KINDS)
    return changed


def _install_versions(kind: Kind, versions: Sequence[Mapping[str, Any]]) -> int:
    changed = 0
    for entry in versions:
        for api_version in entry["api_versions"]:
            key = {"kind": kind, "api_version": api_version, "spec_type": entry.get("spec_type", "")}
            row = KindVersion.objects.unrestricted(REASON).filter(**key).first()
            if row is None:
                KindVersion.objects.create(**key, schema=entry["schema"])
                changed += 1
            elif row.schema != entry["schema"]:
                changed += KindVersion.objects.filter(pk=row.pk).update(schema=entry["schema"])
    return changed


@transaction.atomic
def save_kind(
    *,
    actor: Viewer,
    values: Mapping[str, Any],
    versions: Sequence[Mapping[str, Any]],
    kind: Kind | None = None,
) -> Kind:
    """Create or change a kind together with its versions. Every process accepts it from its next reading on.

    Args:
        values: fields of ``Kind``.
        versions: api_version, spec_type, schema and enabled of each version it has from now on.

    Raises:
        InputError: no version, a schema that is none, or a relation field that cannot be read.
        ConflictError: another kind has the name.
    """
    if not versions:
        raise InputError(
            "A kind needs at least one version.",
            code="catalog.kind.no-version",
            remedy="Add an apiVersion and its schema.",
        )
    for version in versions:
        compile_schema(version["schema"])
    row = kind or Kind()
    before = {f: getattr(row, f) for f in values} if kind else None
    for name, value in values.items():
        setattr(row, name, value)
    KindRegistry.from_rows([
        {
            "kind": row.name, "plural": row.plural, "icon": row.icon, "description": row.description,
            "relations": row.relations, "sorted_lists": row.sorted_lists, "versions": [dict(v) for v in versions],
        }
    ])  # fmt: skip
    row.full_clean(validate_unique=False, validate_constraints=False)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise ConflictError(
            f"There is already a kind named {row.name}.", code="catalog.kind.taken", details={"field": "name"}
        ) from error
    kept = []
    for version in versions:
        stored, _ = KindVersion.objects.unrestricted(REASON).update_or_create(
            kind=row,
            api_version=version["api_version"],
            spec_type=version.get("spec_type", ""),
            defaults={"schema": version["schema"], "enabled": version.get("enabled", True)},
        )
        kept.append(stored.pk)
    KindVersion.objects.unrestricted(REASON).filter(kind=row).exclude(pk__in=kept).delete()
    raise_version(KINDS)
    after = {**dict(values), "versions": [v["api_version"] for v in versions]}
    record(
        actor=actor.actor,
        verb=f"catalog.kind.{'changed' if kind else 'created'}",
        target=row,
        before=before,
        after=after,
    )
    return row


@transaction.atomic
def vocabulary_changed(
    *,
    actor: Viewer,
    what: AnnotationDefinition | TagDefinition,
    verb: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """An annotation or tag was written: record it and tell every process."""
    raise_version(KINDS)
    record(actor=actor.actor, verb=f"catalog.vocabulary.{verb}", target=what, before=before, after=after)


@transaction.atomic
def switch_kind_version(*, actor: Viewer, kind: str, spec_type: str, enabled: bool) -> int:
    """Switch the versions of a kind for one ``spec.type`` on or off. Returns how many rows changed."""
    rows = KindVersion.objects.filter(kind__name=kind, spec_type=spec_type).exclude(enabled=enabled)
    changed = rows.update(enabled=enabled)
    if changed:
        raise_version(KINDS)
        record(
            actor=actor.actor, verb="catalog.kind.switched", object_type="catalog.kind", object_id=kind,
            object_name=f"{kind} {spec_type}".strip(), after={"enabled": enabled},
        )  # fmt: skip
    return changed


@transaction.atomic
def allow_kinds(*, actor: Viewer, kinds: Sequence[str], allowed: bool) -> int:
    """Say whether sources may bring these kinds unless they say otherwise. Returns how many rows changed.

    Raises:
        InputError: there is no such kind.
    """
    rows = Kind.objects.unrestricted(REASON).filter(name__in=kinds)
    unknown = sorted(set(kinds) - set(rows.values_list("name", flat=True)))
    if unknown:
        raise InputError(
            f"There is no kind {', '.join(unknown)}.",
            code="catalog.kind.unknown",
            remedy="`manage.py kind list` shows them.",
        )
    changed = (
        Kind.objects.filter(name__in=kinds).exclude(default_allowed=allowed).update(default_allowed=allowed)
    )
    if changed:
        raise_version(KINDS)
        record(
            actor=actor.actor, verb="catalog.kind.allowed" if allowed else "catalog.kind.refused",
            object_type="catalog.kind", object_id=",".join(kinds)[:200], object_name=", ".join(kinds),
        )  # fmt: skip
    return changed
