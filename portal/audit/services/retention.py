"""Remove the oldest records behind a signed boundary, so that the rest still verifies."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from portal.audit.models import AuditEvent, Checkpoint
from portal.audit.services.checkpoints import sign_position, write_checkpoints
from portal.audit.services.recording import record

BATCH = 5_000
REASON = "retention is about records of everybody"


def forget_old_records() -> int:
    """Remove records older than ``CALLBOARD_AUDIT_DAYS``; none where that is 0. Returns how many.

    Only a whole beginning of the chain goes: up to the last sealed record before the first one that is to stay. The
    boundary is written and committed first, then the records go in batches; whoever dies in between leaves some that
    the next run takes. That it ran is a record itself.
    """
    days: int = settings.CALLBOARD_AUDIT_DAYS
    if days > 0:
        _draw_boundary(days)
    newest = Checkpoint.objects.unrestricted(REASON).filter(kind=Checkpoint.Kind.BOUNDARY)
    boundary = newest.order_by("-position").first()
    if boundary is None:
        return 0
    # Past the manager that refuses it; the database's own guard lets through what is behind a boundary.
    rows: models.QuerySet[AuditEvent] = models.QuerySet(AuditEvent)
    removed = 0
    while keys := list(rows.filter(position__lte=boundary.position).values_list("pk", flat=True)[:BATCH]):
        removed += rows.filter(pk__in=keys)._raw_delete(rows.db)  # one statement, no reading
    write_checkpoints()
    return removed


@transaction.atomic
def _draw_boundary(days: int) -> None:
    limit = timezone.now() - timedelta(days=days)
    sealed = AuditEvent.objects.unrestricted(REASON).filter(position__isnull=False).order_by("position")
    stays = sealed.filter(at__gte=limit).first()
    old = sealed if stays is None else sealed.filter(position__lt=stays.position)
    last = old.last()
    # The newest record always stays: the chain has an end to be compared with checkpoints.
    if last is not None and stays is None:
        last = old.filter(position__lt=last.position).last()
    if last is None:
        return
    boundary = Checkpoint.objects.unrestricted(REASON).filter(
        kind=Checkpoint.Kind.BOUNDARY, position__gte=last.position
    )
    if boundary.exists():
        return
    sign_position(Checkpoint.Kind.BOUNDARY, last)
    record(
        actor="system:scheduler",
        verb="audit.records.removed",
        object_type="audit.auditevent",
        object_name=f"up to record {last.position}",
        after={"up_to": last.position, "older_than_days": days},
    )
