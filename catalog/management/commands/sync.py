"""``manage.py sync [NAME] [--wait]``: read one source or all of them."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.management.waiting import wait_for_job, why_unread
from catalog.models import Source
from catalog.services.sources import request_sync
from portal.access.viewer import Viewer


class Command(BaseCommand):
    help = "Read sources now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help="Of the source; all enabled ones without it.")
        parser.add_argument(
            "--wait", action="store_true", help="Wait for the outcome; exit status 1 if one failed."
        )
        parser.add_argument(
            "--force", action="store_true", help="Compare everything, also what has not changed."
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = Viewer.system("command line")
        sources = Source.objects.visible_to(actor).filter(enabled=True)
        if options["name"]:
            sources = sources.filter(name=options["name"])
        found = list(sources)
        if not found and options["name"]:
            raise CommandError(
                f"There is no enabled source named {options['name']}; `manage.py source list` shows them."
            )
        failed = 0
        for source in found:
            job = request_sync(actor=actor, source=source, force=options["force"])
            data: dict[str, Any] = {"source": source.name, "job": str(job.pk), "state": job.state}
            text = f"{source.name}: queued"
            if options["wait"]:
                job = wait_for_job(job, quiet=options["json"], out=self.stdout)
                result = job.result or {}
                data |= {"state": job.state, **result}
                reason = why_unread(job, source)
                failed += bool(reason)
                text = (
                    f"{source.name}: {result['state']}, {result['added']} added, {result['changed']} changed, "
                    f"{result['removed']} removed, {result['problems']} problems"
                    if not reason
                    else f"{source.name}: failed: {reason}"
                )
            self.stdout.write(json.dumps(data) if options["json"] else text)
        if failed:
            raise CommandError(f"{failed} of {len(found)} sources could not be read.")
