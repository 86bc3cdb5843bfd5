"""``manage.py catalog health``: how fresh, whole and readable the catalog is."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from catalog.presenters.health import report_body
from catalog.query.health import NUMBERS, health_report
from portal.access.viewer import Viewer


class Command(BaseCommand):
    help = "The health of the catalog in numbers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["health"])
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        report = health_report(Viewer.system("command line"))
        body = report_body(report)
        if options["json"]:
            self.stdout.write(json.dumps(body))
            return
        for number in NUMBERS:
            self.stdout.write(f"{report.numbers[number.key]:>9,}  {number.title}")
        for title, share in (
            ("confirmed in 30 days", body["freshness"]),
            ("readings that succeeded", body["readings"]),
        ):
            text = "none yet" if share["ratio"] is None else f"{share['ratio']:.2%}"
            self.stdout.write(f"{text:>9}  {title}, target {share['target']:.0%}")
        for source in report.sources:
            if source.state in ("failing", "retrying"):
                self.stdout.write(
                    f"{source.failures:>9}  failures in a row: {source.name}: {source.last_error[:200]}"
                )
