"""``manage.py scheduler``: due schedules, lost work, positions of events and audit records. Several may run."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections

from portal.audit.services import seal as seal_audit
from portal.events.services import seal as seal_events
from portal.jobs.services import forget_old_jobs, sweep, tick

log = structlog.get_logger(__name__)
# name, seconds between two runs, function: sealing stays well under a second behind, the rest may wait.
CHORES = (
    ("seal_events", 0.5, seal_events),
    ("seal_audit", 0.5, seal_audit),
    ("tick", 1.0, tick),
    ("sweep", 2.0, sweep),
    ("forget_old_jobs", 3600.0, forget_old_jobs),
)


class Command(BaseCommand):
    help = "Run due schedules and repair lost work until told to stop."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Do every chore once and end.")

    def handle(self, *args: Any, once: bool = False, **options: Any) -> None:
        if once:
            for _, _, chore in CHORES:
                chore()
            return
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        due = dict.fromkeys((name for name, _, _ in CHORES), 0.0)
        while not stop.is_set():
            for name, every, chore in CHORES:
                if time.monotonic() < due[name]:
                    continue
                due[name] = time.monotonic() + every
                try:
                    chore()
                except Exception:
                    # Whatever breaks, a database that restarts or a defect in one chore: the others go on, because
                    # this is the process that repairs.
                    log.exception("chore_failed", chore=name)
                    close_old_connections()
                    due[name] = time.monotonic() + 5
            stop.wait(max(0.05, min(due.values()) - time.monotonic()))
