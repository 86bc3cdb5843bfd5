"""The message that says "there is work". Losing one costs seconds, never work: the sweeper rings again."""

from __future__ import annotations

import uuid

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)
TASK = "jobs.run"


def ring(job_id: uuid.UUID) -> bool:
    """Tell the workers about a job. Returns whether the broker took the message."""
    try:
        current_app.send_task(TASK, args=[str(job_id)])
    except (OperationalError, OSError) as error:
        log.warning("doorbell_not_heard", job=str(job_id), error=str(error))
        return False
    return True
