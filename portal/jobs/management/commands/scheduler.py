"""``manage.py scheduler``: due schedules, lost work, positions of events and audit records. Several may run."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections

from portal.audit.models import AuditEvent
from portal.audit.services import forget_old_records, keep_checkpoints
from portal.audit.services import seal as seal_audit
from portal.core.sealing import anything_waits
from portal.events.models import Event
from portal.events.services import forget_old_deliveries, forget_old_events
from portal.events.services import seal as seal_events
from portal.jobs.services import forget_old_jobs, sweep, tick
from portal.jobs.webhooks import forget_delivery_jobs, queue_deliveries

log = structlog.get_logger(__name__)
#: Seconds between two looks at what is due. Chores start on this beat, so that an idle scheduler wakes up seldom.
BEAT = 0.5


def seal() -> None:
    """Positions for events and audit records, where any wait for one."""
    if anything_waits(Event, AuditEvent):
        seal_events()
        seal_audit()


# name, seconds between two runs, function: sealing stays well under a second behind, the rest may wait.
CHORES = (
    ("seal", BEAT, seal),
    ("tick", 1.0, tick),
    ("webhooks", 1.0, queue_deliveries),
    ("sweep", 2.0, sweep),
    ("forget_old_jobs", 3600.0, forget_old_jobs),
    ("forget_delivery_jobs", 600.0, forget_delivery_jobs),
    ("forget_old_events", 3600.0, forget_old_events),
    ("forget_old_deliveries", 3600.0, forget_old_deliveries),
    ("keep_checkpoints", 600.0, keep_checkpoints),
    ("forget_old_records", 3600.0, forget_old_records),
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
            now = time.monotonic()
            for name, every, chore in CHORES:
                if now < due[name]:
                    continue
                due[name] = now + every - BEAT / 2
                try:
                    chore()
                except Exception:
                    # Whatever breaks, a database that restarts or a defect in one chore: the others go on, because
                    # this is the process that repairs.
                    log.exception("chore_failed", chore=name)
                    close_old_connections()
                    due[name] = time.monotonic() + 5
            stop.wait(max(0.0, now + BEAT - time.monotonic()))
