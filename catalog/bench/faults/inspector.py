"""A process that looks into an installation from its own side: answers questions and reads the feed all the time.

``python -m catalog.bench.faults.inspector``, in the installation's environment: one JSON object a line in, one out.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import django
import orjson


class Reader(threading.Thread):
    """Follows the feed from the first event on, as a reader outside does: it knows only the last position it saw.

    Attributes:
        seen: (position, uid) as they came.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[int, str]] = []
        self.position = 0

    def run(self) -> None:
        from django.db import Error, connection

        from portal.access.viewer import Viewer
        from portal.events.selectors import events_after

        viewer = Viewer.system("bench")
        while True:
            try:
                events = events_after(viewer, self.position, 500)
            except Error:  # the database is away: the position is all there is to keep
                connection.close()
                events = []
            for event in events:
                self.seen.append((event.position, str(event.uid)))
                self.position = event.position
            if not events:
                threading.Event().wait(0.1)


class Inspector:
    """The questions, by name."""

    def __init__(self) -> None:
        self.reader = Reader()
        self.reader.start()

    def differences(self, truth: dict[str, Any], locations: list[str]) -> list[str]:
        from catalog.bench.faults.checks import differences

        return differences(truth, locations)

    def open_jobs(self) -> list[str]:
        """Jobs that wait or run."""
        from portal.jobs.models import Job

        rows = Job.objects.unrestricted("bench").filter(state__in=("queued", "running"))
        return [f"{job} {job.state}" for job in rows]

    def given_up(self) -> list[str]:
        """Jobs that ended without being done, but for readings of what is not registered any more."""
        from portal.jobs.models import Job

        rows = Job.objects.unrestricted("bench").filter(state__in=("failed", "cancelled"))
        return [f"{j}: {j.error}" for j in rows if (j.error or {}).get("code") != "catalog.source.gone"]

    def pause_schedules(self) -> int:
        """So that it becomes quiet. Nothing that is queued already is touched."""
        from portal.jobs.models import Schedule

        return Schedule.objects.unrestricted("bench").filter(kind="catalog.sync_source").update(enabled=False)

    def read_everything(self) -> int:
        """Queue a full comparison of every source: where nothing was lost, it changes nothing."""
        from catalog.models import Source
        from catalog.services.sources import request_sync
        from portal.access.viewer import Viewer

        sources = list(Source.objects.unrestricted("bench"))
        for source in sources:
            request_sync(actor=Viewer.system("bench"), source=source, force=True)
        return len(sources)

    def counts(self) -> dict[str, int]:
        from django.db.models import Sum

        from catalog.models import Entity, Revision, Sync, Tombstone
        from portal.events.models import Event
        from portal.jobs.models import Job

        jobs = Job.objects.unrestricted("bench")
        tries = jobs.aggregate(tries=Sum("attempts"))["tries"] or 0
        return {
            "entities": Entity.objects.unrestricted("bench").count(),
            "versions closed": Revision.objects.unrestricted("bench").count(),
            "removals": Tombstone.objects.unrestricted("bench").count(),
            "events": Event.objects.unrestricted("bench").count(),
            "syncs": Sync.objects.unrestricted("bench").count(),
            "jobs": jobs.count(),
            "jobs tried again": tries - jobs.filter(attempts__gte=1).count(),
        }

    def waiting(self) -> int:
        """Events and audit records without a position."""
        from portal.audit.models import AuditEvent
        from portal.events.models import Event

        return (
            Event.objects.unrestricted("bench").filter(position=None).count()
            + AuditEvent.objects.unrestricted("bench").filter(position=None).count()
        )

    def sealed(self) -> list[tuple[str, str, str]]:
        """(id, type, subject) of each event that has a position, in order."""
        from portal.events.models import Event
        from portal.events.services.messages import message_id

        rows = Event.objects.unrestricted("bench").exclude(position=None).order_by("position")
        return [(message_id(uid), kind, ref) for uid, kind, ref in rows.values_list("uid", "type", "subject")]

    def faults(self) -> dict[str, list[str]]:
        from catalog.bench.faults.checks import faults

        return {**faults(), "feed reader": self._missed()}

    def _missed(self) -> list[str]:
        """What the reader saw otherwise than each event once, in ascending order."""
        from portal.events.models import Event

        rows = Event.objects.unrestricted("bench").exclude(position=None).order_by("position")
        stored = [(position, str(uid)) for position, uid in rows.values_list("position", "uid")]
        for _ in range(50):
            if len(self.reader.seen) >= len(stored):
                break
            threading.Event().wait(0.1)
        seen = self.reader.seen
        if seen == stored:
            return []
        missed, twice = set(stored) - set(seen), len(seen) - len(set(seen))
        order = "" if seen == sorted(seen) else ", not in order"
        return [f"{len(missed)} of {len(stored)} events were missed, {twice} came twice{order}"]


def main() -> None:
    django.setup()
    from django.db import Error, connection

    inspector = Inspector()
    for line in sys.stdin.buffer:
        question = orjson.loads(line)
        answer: dict[str, Any]
        try:
            ask: Callable[..., Any] = getattr(inspector, question.pop("ask"))
            answer = {"answer": ask(**question)}
        except Error as error:
            connection.close()
            answer = {"away": str(error)}
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
