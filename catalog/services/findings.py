"""What a sync has to say of what it read: problems with their owners, and contenders for what others have."""

from __future__ import annotations

from collections.abc import Iterator

from catalog.ingest.collected import Collected
from catalog.ingest.problems import Problem as Finding
from catalog.models import Contender, Entity, Source
from catalog.services.publishing.plan import Plan, chunks
from catalog.services.removals import Held

REASON = "a sync reads for the system"


def findings_of(
    source: Source, found: Collected, plan: Plan, held: Held | None
) -> Iterator[tuple[Finding, str, str]]:
    """What a reading found wrong: finding, reference of its entity, reference of who should mend it."""
    if held is not None:
        finding = Finding(
            rule="catalog.removal.held",
            message=f"{len(held.refs)} of {held.total} entities of {source.name} are no longer declared.",
            remedy="They stay until a curator lets them go or keeps them, on the page of the source.",
            severity="warning",
            url=source.target,
        )
        yield finding, "", ""
    named = {ref for _, ref in found.problems} | {declared.ref for declared, _ in plan.conflicts}
    failed = Entity.objects.unrestricted(REASON).filter(source=source, ref__in=list(found.failed))
    owners = {ref: owner or "" for ref, owner in failed.values_list("ref", "owner_ref")}
    for ref in named:
        if ref in found.declared:
            for of, kind, target in found.declared[ref].relations:
                if kind == "ownedBy" and of == ref:
                    owners[of] = target
        elif owner := found.carried_owners.get(ref) if ref in found.carried else "":
            owners[ref] = owner
    for finding, ref in found.problems:
        yield finding, ref, owners.get(ref) or found.owners.get((finding.url, finding.document), "")
    for declared, winner in plan.conflicts:
        yield (
            Finding(
                rule="catalog.conflict",
                message=f"{declared.ref} is declared by {winner.url} already, which keeps it.",
                remedy="Rename one of the two, or remove this document.",
                path="/metadata/name",
                value=declared.name,
                error_name="ConflictError",
                url=declared.url,
                document=declared.document,
                line=declared.line,
            ),
            declared.ref,
            owners.get(declared.ref, ""),
        )


def replace_contenders(*, source: Source, plan: Plan) -> None:
    """Make the records of what ``source`` declares and others have exactly those of its last comparison."""
    columns = ("entity_ref", "url", "document", "line", "parent_ref", "same_file")
    rows = Contender.objects.unrestricted(REASON).filter(source=source)
    known = {tuple(values): pk for pk, *values in rows.values_list("id", *columns)}
    wanted = [(r.ref, r.url, r.document, r.line, r.parent_ref, r.same_file) for r in plan.rivals]
    kept = set(wanted)
    gone = [pk for values, pk in known.items() if values not in kept]
    for part in chunks(gone):
        rows.filter(pk__in=part).delete()
    Contender.objects.bulk_create(
        [
            Contender(source=source, **dict(zip(columns, values, strict=True)))
            for values in dict.fromkeys(wanted)
            if values not in known
        ],
        batch_size=500,
    )
