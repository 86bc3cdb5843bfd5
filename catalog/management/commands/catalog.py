"""``manage.py catalog``: what a change would do (diff), how the catalog is (health), lists as files (export)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.ingest.sources.sent import SentFiles
from catalog.models import Source
from catalog.presenters.health import report_body
from catalog.presenters.listing import Asked
from catalog.presenters.preview_text import RENDERERS
from catalog.query import EntityQuery, parse_fields, parse_filters
from catalog.query.health import NUMBERS, health_report
from catalog.selectors import source_named
from catalog.services.exports import FORMATS, export_entities
from catalog.services.preview import Report, files_below, preview_changes
from catalog.services.targets import absolute_target, guess_type
from portal.access.viewer import Viewer
from portal.core.errors import CallboardError

ACTOR = Viewer.system("command line")


class Command(BaseCommand):
    help = "Say what a change would do (diff), how the catalog is (health), or write a list of entities (export)."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        diff = actions.add_parser(
            "diff",
            help="What the catalog would do with a folder, an address, or a source as it is now. Writes nothing.",
        )
        diff.add_argument(
            "path",
            nargs="?",
            default="",
            help="Folder or file below CALLBOARD_FILE_ROOTS, or an address; with --source a working tree of it.",
        )
        diff.add_argument("--source", default="", help="Name or id of a registered source.")
        diff.add_argument(
            "--ref", default="", help="Read its branch as if it were this branch, tag or commit."
        )
        diff.add_argument(
            "--pattern", default="", help="Which files of a folder; without it the usual names."
        )
        diff.add_argument("--format", choices=sorted(RENDERERS), default="text")
        diff.add_argument("--json", action="store_true", help="The same as --format json.")
        diff.add_argument("--strict", action="store_true", help="Warnings end it with status 1 too.")

        health = actions.add_parser(
            "health", help="How fresh, whole and readable the catalog is, in numbers."
        )
        health.add_argument("--json", action="store_true")

        export = actions.add_parser("export", help="Write a list of entities, to the terminal or a file.")
        export.add_argument("--format", choices=sorted(FORMATS), default="ndjson")
        export.add_argument(
            "--filter",
            action="append",
            default=[],
            help="As on stock's paths: key=value,key=value; repeatable.",
        )
        export.add_argument(
            "--query",
            default="",
            metavar="WORDS",
            help="As in an address of the portal: kind=component&owner=none.",
        )
        export.add_argument(
            "--fields", default="", help="Paths to keep, or columns of a CSV, with commas between."
        )
        export.add_argument(
            "--output", default="", metavar="FILE", help="Where to; without it to the terminal."
        )
        export.add_argument(
            "--json", action="store_true", help="Say what was written as JSON; needs --output."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options)
        except CallboardError as error:
            raise CommandError(" ".join(filter(None, (error.message, error.remedy)))) from error

    def _diff(self, options: dict[str, Any]) -> None:
        report = self._asked(options)
        render = RENDERERS["json" if options["json"] else options["format"]]
        self.stdout.write(render(report), ending="")
        if report.verdict == "error" or (options["strict"] and report.verdict == "warning"):
            sys.exit(1)

    def _asked(self, options: dict[str, Any]) -> Report:
        path, ref = options["path"], options["ref"]
        if options["source"]:
            source = source_named(ACTOR, options["source"])
            sent = None
            if path:
                sent = SentFiles.of(files_below(Path(path)), file_bytes=settings.CALLBOARD_MAX_FILE_BYTES)
            return preview_changes(actor=ACTOR, source=source, ref=ref, sent=sent)
        kind = guess_type(path or ".")
        target = absolute_target(kind, path or ".", folder=Path.cwd())
        known = (
            Source.objects.visible_to(ACTOR).filter(type=kind, target=target).order_by("created_at").first()
        )
        if known is not None:
            return preview_changes(actor=ACTOR, source=known, ref=ref)
        return preview_changes(actor=ACTOR, target=target, type=kind, pattern=options["pattern"], ref=ref)

    def _export(self, options: dict[str, Any]) -> None:
        if options["json"] and not options["output"]:
            raise CommandError("--json says what was written to a file: name one with --output.")
        asked = Asked.of("", parse_qs(options["query"].lstrip("?")))
        query = EntityQuery(
            ACTOR,
            where=parse_filters(options["filter"]),
            include=asked.query_include(),
            exclude=asked.query_exclude(),
            text=asked.text or None,
            order=asked.query_order,
        )
        projection = parse_fields([options["fields"]])
        question = "&".join(
            [*(f"filter={text}" for text in options["filter"]), *filter(None, [options["query"]])]
        )
        count, pieces = export_entities(
            actor=ACTOR,
            query=query,
            format=options["format"],
            fields=projection.paths if projection else (),
            question=question,
        )
        if not options["output"]:
            for piece in pieces:
                self.stdout.write(piece.decode(), ending="")
            return
        path = Path(options["output"])
        with path.open("wb") as file:
            size = sum(file.write(piece) for piece in pieces)
        data = {"entities": count, "bytes": size, "file": str(path)}
        text = f"{count:,} entities, {size:,} bytes, in {path}."
        self.stdout.write(json.dumps(data) if options["json"] else text)

    def _health(self, options: dict[str, Any]) -> None:
        report = health_report(ACTOR)
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
