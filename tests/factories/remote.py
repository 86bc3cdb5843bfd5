"""A source that is another instance, and what the catalog makes of it."""

from __future__ import annotations

from typing import Any

from catalog.models import Entity, Kind, Problem, RemoteEntry, RemoteReport, Source, Sync
from catalog.services.sources import create_source, request_sync
from portal.connections.models import Connection
from portal.jobs.models import Job
from portal.jobs.running import run_job
from tests.factories.connections import ConnectionFactory
from tests.factories.sources import SYSTEM

VARIABLE = "SECOND_TOKEN"


class Remote:
    """Reads ``base`` over a connection that may reach it on this machine."""

    def __init__(self, base: str, *, credential: bool = True, **values: Any) -> None:
        host = base.split("/")[2]
        self.connection: Connection = ConnectionFactory(
            name="second",
            host=host,
            base_url=f"http://{host}",
            allow_private=True,
            credential=f"env:{VARIABLE}" if credential else "",
        )
        kinds = list(Kind.objects.unrestricted("test").values_list("name", flat=True))
        self.source: Source = create_source(
            actor=SYSTEM,
            name="second",
            target=base,
            type=Source.Type.REMOTE,
            registered_by=Source.RegisteredBy.COMMAND,
            **{"allowed_kinds": kinds, **values},
            sync=False,
        )

    def sync(self, *, force: bool = False) -> Sync:
        """Read it; returns the record of the reading, whose job has to succeed."""
        job = request_sync(actor=SYSTEM, source=self.source, force=force)
        run_job(job.pk)
        done = Job.objects.unrestricted("test").get(pk=job.pk)
        assert done.state == Job.State.SUCCEEDED, done.error
        self.source.refresh_from_db()
        return Sync.objects.unrestricted("test").filter(source=self.source).latest("pk")

    @property
    def report(self) -> dict[str, Any]:
        rows = RemoteReport.objects.unrestricted("test").filter(source=self.source)
        data: dict[str, Any] = rows.latest("pk").data
        return data

    @property
    def problems(self) -> dict[str, str]:
        """Messages by rule."""
        rows = Problem.objects.unrestricted("test").filter(source=self.source)
        return dict(rows.values_list("rule", "message"))

    @property
    def refs(self) -> set[str]:
        """Of its entities, but for the Location that stands for the source."""
        rows = Entity.objects.unrestricted("test").filter(source=self.source)
        return set(rows.exclude(ref=self.source.entity_ref).values_list("ref", flat=True))

    @property
    def outcomes(self) -> dict[str, str]:
        rows = RemoteEntry.objects.unrestricted("test").filter(source=self.source)
        return dict(rows.values_list("ref", "outcome"))
