"""Jobs that send events by webhook.

``portal.events`` lies below and knows no jobs: it says what is due and how to send, this module says when. The row of
the subscription is the truth: its position and its lease. A job that is lost or killed costs seconds.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from portal.access.viewer import Viewer
from portal.events.selectors import due_subscriptions
from portal.events.services import deliver_due
from portal.jobs.models import Job
from portal.jobs.registry import job_handler
from portal.jobs.running import JobContext
from portal.jobs.services import enqueue

DELIVER = "events.deliver"
#: Finished jobs of this kind say nothing that the deliveries do not say better.
KEPT = timedelta(hours=1)
_SYSTEM = "jobs that belong to the system"


@job_handler(DELIVER, tries=1)  # what is left is asked for again within a second or two
def deliver(context: JobContext) -> dict[str, Any]:
    """Send what one subscription has not got yet."""
    return dict(deliver_due(key=context.payload["subscription"], stopped=context.stopped))


def queue_deliveries() -> int:
    """Queue a job for each subscription that has something to send. One statement where none has. Returns how many."""
    queued = 0
    for key, name in due_subscriptions():
        job_key = f"{DELIVER}:{key}"
        waiting = Job.objects.unrestricted(_SYSTEM).filter(key=job_key, state=Job.State.QUEUED)
        if waiting.exists():  # the sweeper rings for it
            continue
        enqueue(
            actor=Viewer.system("webhooks"),
            kind=DELIVER,
            payload={"subscription": str(key)},
            subject=name,
            key=job_key,
        )
        queued += 1
    return queued


def forget_delivery_jobs() -> int:
    """Delete delivery jobs that are over and went well. Returns how many."""
    over = Job.objects.unrestricted(_SYSTEM).filter(
        kind=DELIVER, state=Job.State.SUCCEEDED, finished_at__lt=timezone.now() - KEPT
    )
    return over.delete()[0]
