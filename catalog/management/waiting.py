"""Commands that wait for a job: they do it themselves where no worker was faster, and show its progress."""

from __future__ import annotations

import threading
import time
from typing import TextIO

from django.core.management.base import OutputWrapper

from catalog.models import Source, Sync
from portal.core.collector import settle
from portal.jobs.models import Job
from portal.jobs.running import run_job


def wait_for_job(job: Job, *, quiet: bool, out: OutputWrapper | TextIO) -> Job:
    """Run ``job`` here unless a worker has it, and return it once it is over."""
    settle()
    runner = threading.Thread(target=run_job, args=(job.pk,), daemon=True)
    runner.start()
    shown, pause = "", 0.05
    rows = Job.objects.unrestricted("the command's own job").filter(pk=job.pk)
    while True:
        runner.join(pause)
        pause = min(pause * 1.5, 0.5)  # looking takes time from the job, which runs in this very process
        current = rows.get()
        text = (
            f"{current.progress_text} {current.progress_done}/{current.progress_total}"
            if current.progress_total
            else ""
        )
        if text and text != shown and not quiet:
            out.write(f"  {text}")
            shown = text
        if current.is_over:
            runner.join()
            return current
        if not runner.is_alive():
            time.sleep(0.1)
            if current.state == Job.State.QUEUED and current.run_after.timestamp() <= time.time():
                runner = threading.Thread(target=run_job, args=(job.pk,), daemon=True)
                runner.start()


def why_unread(job: Job, source: Source) -> str:
    """Why nothing of ``source`` could be read by this finished job; empty where it could."""
    if job.state != Job.State.SUCCEEDED:
        return str((job.error or {}).get("message", job.state))
    if (job.result or {}).get("state") != Sync.State.FAILED:
        return ""
    rows = Source.objects.unrestricted("the command's own source").filter(pk=source.pk)
    return str(rows.values_list("last_error", flat=True).get())
