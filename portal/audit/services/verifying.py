"""Walk the chain and say whether it holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from portal.audit.models import AuditEvent, Checkpoint
from portal.audit.services.chain import holds
from portal.audit.services.checkpoints import Statement

REASON = "verify reads every record"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What walking the chain came to.

    Attributes:
        holding: how many records hold, from the first one kept on.
        broken_at: the first position that does not; None where all hold.
        problem: what is wrong there, empty where all hold.
        waiting: records that are not sealed yet.
        boundary: the position up to which retention has removed records; 0 where it has not.
        checkpoints: signed checkpoints that agree.
    """

    holding: int
    broken_at: int | None = None
    problem: str = ""
    waiting: int = 0
    boundary: int = 0
    checkpoints: int = 0


def verify(*, checkpoints: Iterable[tuple[str, Statement]] = (), public_key: str = "") -> Verdict:
    """Walk the chain from the first record, or from the signed boundary that retention left.

    Finds every changed, inserted, reordered or removed record. That the last ones were cut off, or everything was
    written anew by somebody who has the keys, shows against signed checkpoints: those in the database, and those kept
    elsewhere. Keys that were current once have to stay in ``CALLBOARD_KEYS``.

    Args:
        checkpoints: place and statement of each one kept elsewhere.
        public_key: base64; check the signatures of those kept elsewhere by it instead of our own keys.
    """
    waiting = AuditEvent.objects.unrestricted(REASON).filter(position__isnull=True).count()
    own = [Statement.of(row) for row in Checkpoint.objects.unrestricted(REASON)]
    known = [(f"the {statement.kind} of the database", statement, "") for statement in own]
    known += [(place, statement, public_key) for place, statement in checkpoints]
    said: dict[int, list[tuple[str, Statement]]] = {}
    for place, statement, key in known:
        if not statement.is_genuine(key):
            problem = f"{place} at {statement.position} is not signed by a key of ours"
            return Verdict(0, statement.position, problem, waiting)
        said.setdefault(statement.position, []).append((place, statement))
    boundary = max(
        (statement for statement in own if statement.kind == Checkpoint.Kind.BOUNDARY),
        key=lambda statement: statement.position,
        default=None,
    )
    first = boundary.position if boundary else 0
    previous = boundary.digest if boundary else ""
    last, agreeing = first, 0
    for place, statement in said.get(first, []):
        if statement.digest != previous:
            return Verdict(
                0, first, f"{place} at {first} names another record than the boundary", waiting, first
            )
        agreeing += statement.kind == Checkpoint.Kind.CHECKPOINT
    rows = AuditEvent.objects.unrestricted(REASON).filter(position__gt=first)
    problem = ""
    for event in rows.order_by("position").iterator(chunk_size=2_000):
        here = last + 1
        if event.position != here:
            problem = f"record {here} is missing"
        elif not holds(previous, event):
            problem = f"record {here} is not what was sealed, or the one before it is another"
        else:
            for place, statement in said.get(here, []):
                if statement.digest != event.digest:
                    problem = f"record {here} is another one than {place} has signed"
                agreeing += 1
        if problem:
            return Verdict(last - first, here, problem, waiting, first, agreeing)
        previous, last = event.digest, here
    if said and (newest := max(said)) > last:
        place = said[newest][0][0]
        problem = f"records {last + 1} to {newest} were cut off: {place} has signed the last of them"
        return Verdict(last - first, last + 1, problem, waiting, first, agreeing)
    return Verdict(last - first, None, "", waiting, first, agreeing)
