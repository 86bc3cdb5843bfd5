"""Kinds of jobs for the tests, also for a worker of its own process (it imports this module)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from portal.audit.services import record
from portal.core.errors import InputError, ServiceUnavailableError
from portal.jobs.registry import job_handler
from portal.jobs.running import JobContext


@job_handler("tests.echo")
def echo(context: JobContext) -> dict[str, Any]:
    return {"echo": context.payload, "actor": context.viewer.actor}


@job_handler("tests.fail")
def fail(context: JobContext) -> None:
    raise InputError("This cannot work.", code="tests.input", remedy="Do not try.")


@job_handler("tests.defect")
def defect(context: JobContext) -> None:
    raise ZeroDivisionError("one by nothing")


@job_handler("tests.passing", tries=3, retry_seconds=7)
def passing(context: JobContext) -> None:
    raise ServiceUnavailableError("The host is away.", code="tests.away")


@job_handler("tests.wait", tries=3)
def wait(context: JobContext) -> dict[str, Any]:
    """Says that it runs by a file, waits for another file, and leaves its effect in one fenced transaction.

    The payload names ``folder``; ``seconds`` ends the waiting.
    """
    folder = Path(context.payload["folder"])
    (folder / f"started-{context.job.attempts}").write_text(str(os.getpid()))
    deadline = time.monotonic() + context.payload.get("seconds", 60)
    while not (folder / "go").exists() and time.monotonic() < deadline:
        context.checkpoint()
        time.sleep(0.05)
    with context.writing():
        record(actor="tests.wait", verb="tests.effect", object_id=str(context.job.pk))
    return {"pid": os.getpid()}
