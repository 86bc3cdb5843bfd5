"""What Celery calls: three lines around the service."""

from __future__ import annotations

from celery import shared_task

from portal.jobs import webhooks  # noqa: F401  (registers its kind of job in every worker)
from portal.jobs.doorbell import TASK
from portal.jobs.running import run_job


@shared_task(name=TASK, ignore_result=True, acks_late=True)
def run(job_id: str) -> None:
    run_job(job_id)
