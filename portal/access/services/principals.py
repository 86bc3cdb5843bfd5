"""Identities and memberships, as a trusted source describes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from portal.access.models import Membership, Principal, User
from portal.access.standing import raise_access_version
from portal.access.viewer import Viewer
from portal.audit.services import record


@dataclass(frozen=True, slots=True)
class PersonData:
    """A person or group as a source describes it; ``ref`` is canonical (lower case, three parts)."""

    kind: str
    ref: str
    title: str = ""
    email: str = ""


#: Source of identities whose own source is gone; the next one that names them takes them over.
WITHDRAWN = "withdrawn"


@transaction.atomic
def sync_principals(
    *, actor: Viewer, source: str, principals: Iterable[PersonData], memberships: Iterable[tuple[str, str]]
) -> dict[str, int]:
    """Make the identities and memberships of ``source`` exactly these.

    Identities of other sources are left alone, also where this source names the same reference. An identity that is
    no longer named becomes inactive and keeps its row, so that what refers to it still reads well.

    Args:
        memberships: pairs (member reference, group reference); pairs with an unknown end are dropped.

    Returns:
        Counts: principals, deactivated, memberships, removed.
    """
    wanted = {p.ref: p for p in principals}
    reason = "the sync of a trusted source compares all identities"
    known = {p.ref: p for p in Principal.objects.unrestricted(reason)}
    added, changed = [], []
    for ref, data in wanted.items():
        row = known.get(ref)
        if row is None:
            row = known[ref] = Principal(
                kind=data.kind, ref=ref, title=data.title, email=data.email, source=source
            )
            added.append(row)
        elif row.source in (source, WITHDRAWN) and (row.title, row.email, row.active, row.source) != (
            data.title,
            data.email,
            True,
            source,
        ):
            row.title, row.email, row.active, row.source = data.title, data.email, True, source
            changed.append(row)
    Principal.objects.bulk_create(added, batch_size=500)
    Principal.objects.bulk_update(changed, ["title", "email", "active", "source"], batch_size=500)
    gone = [row.pk for ref, row in known.items() if row.source == source and row.active and ref not in wanted]
    deactivated = Principal.objects.filter(pk__in=gone).update(active=False)

    pairs = {
        (known[member].pk, known[group].pk)
        for member, group in memberships
        if member in known and group in known and member != group
    }
    present = {
        (m.member_id, m.group_id): m.pk for m in Membership.objects.unrestricted(reason).filter(source=source)
    }
    Membership.objects.bulk_create(
        [Membership(member_id=m, group_id=g, source=source) for m, g in sorted(pairs - present.keys())],
        batch_size=500,
    )
    stale = [pk for pair, pk in present.items() if pair not in pairs]
    Membership.objects.unrestricted(reason).filter(pk__in=stale).delete()
    counts = {
        "principals": len(added) + len(changed),
        "deactivated": deactivated,
        "memberships": len(pairs - present.keys()),
        "removed": len(stale),
    }
    if any(counts.values()):
        raise_access_version()
        record(
            actor=actor.actor,
            verb="access.principals.synced",
            object_type="access.principal",
            object_id=source,
            object_name=source,
            after=counts,
        )
    return counts


@transaction.atomic
def link_person(*, actor: Viewer, user: User, ref: str) -> Principal:
    """Say that ``user`` is the identity ``ref``; it is created where no source has named it yet."""
    Principal.objects.filter(user=user).exclude(ref=ref).update(user=None)
    principal, _ = Principal.objects.unrestricted("linking acts for the system").get_or_create(
        ref=ref,
        defaults={"kind": Principal.Kind.USER, "title": str(user), "email": user.email, "source": "admin"},
    )
    Principal.objects.filter(pk=principal.pk).update(user=user)
    principal.user = user
    raise_access_version()
    record(actor=actor.actor, verb="access.person.linked", target=user, after={"ref": ref})
    return principal


@transaction.atomic
def withdraw_principals(*, actor: Viewer, source: str) -> None:
    """End all that ``source`` said: its identities become inactive, its memberships go."""
    reason = "a source that is gone takes all its identities along"
    removed = Membership.objects.unrestricted(reason).filter(source=source).delete()[0]
    deactivated = Principal.objects.filter(source=source).update(active=False, source=WITHDRAWN)
    if removed or deactivated:
        raise_access_version()
        record(
            actor=actor.actor,
            verb="access.principals.withdrawn",
            object_type="access.principal",
            object_id=source,
            object_name=source,
            after={"deactivated": deactivated, "removed": removed},
        )


@transaction.atomic
def rename_source_of_principals(*, source: str, new: str) -> None:
    """What ``source`` said counts on under another name."""
    Principal.objects.filter(source=source).update(source=new)
    Membership.objects.filter(source=source).update(source=new)
