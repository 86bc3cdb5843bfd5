"""Looks after the catalog of a second instance: reads its folder again for each line that comes in.

The first line of the answer is a token, each further one the result of a reading.
"""

from __future__ import annotations

import json
import sys

import django
from django.conf import settings
from django.core.management import call_command


def main() -> None:
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)

    from catalog.models import Kind, Source
    from catalog.services.sources import create_source, request_sync
    from portal.access.services import create_token, create_user
    from portal.access.viewer import Viewer
    from portal.jobs.models import Job
    from portal.jobs.running import run_job

    system = Viewer.system("second instance")
    user = create_user(actor=system, username="reader", is_staff=True)
    source = create_source(
        actor=system,
        name="files",
        target=str(settings.CALLBOARD_FILE_ROOTS[0]),
        type=Source.Type.FILE,
        pattern="**/*.yaml",
        registered_by=Source.RegisteredBy.COMMAND,
        allowed_kinds=list(Kind.objects.unrestricted("all kinds").values_list("name", flat=True)),
        sync=False,
    )
    # Registered as people do over REST; nobody reads it, since no worker runs.
    for name in ("one", "two"):
        create_source(
            actor=system,
            target=f"https://git.example.org/{name}.yaml",
            registered_by=Source.RegisteredBy.API,
            sync=False,
        )
    print(json.dumps(create_token(actor=system, user=user, name="reader", scopes=["view"])[1]), flush=True)
    for _ in sys.stdin:
        job = request_sync(actor=system, source=source, force=True)
        run_job(job.pk)
        done = Job.objects.unrestricted("the reading").get(pk=job.pk)
        print(json.dumps(done.result or {"error": done.error}), flush=True)


if __name__ == "__main__":
    main()
