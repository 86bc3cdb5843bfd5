"""The jobs of the catalog: three lines each around a service."""

from __future__ import annotations

from uuid import UUID

from catalog.services.bulk import BULK_JOB, run_bulk
from catalog.services.hooks import forget_old_deliveries
from catalog.services.hooks.keeping import FORGET_JOB
from catalog.services.sources import SYNC_JOB
from catalog.services.syncing import sync_source
from portal.jobs.registry import job_handler
from portal.jobs.running import JobContext


@job_handler(SYNC_JOB, tries=5, retry_seconds=10)
def sync(context: JobContext) -> dict[str, object]:
    source_id, force = UUID(context.payload["source"]), bool(context.payload.get("force"))
    return sync_source(context=context, source_id=source_id, force=force)


@job_handler(FORGET_JOB, tries=3)
def forget_deliveries(context: JobContext) -> dict[str, object]:
    return {"deleted": forget_old_deliveries()}


@job_handler(BULK_JOB, tries=20, retry_seconds=5)
def bulk(context: JobContext) -> dict[str, object]:
    return run_bulk(context=context, operation_id=UUID(context.payload["operation"]))
