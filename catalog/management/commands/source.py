"""``manage.py source``: register, list and remove what the catalog reads; apply the file that lists it.

For another instance also: what of it was taken (report), and its registered locations as sources of our own (migrate).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.management.remote import migration_lines, report_lines
from catalog.management.waiting import wait_for_job, why_unread
from catalog.models import Source
from catalog.services.declared_sources import Applied, apply_declared_sources
from catalog.services.remote_migration import migrate_remote
from catalog.services.remote_report import latest_report
from catalog.services.sources import create_source, delete_source, request_sync
from catalog.services.targets import absolute_target, guess_type
from portal.access.viewer import Viewer
from portal.core.errors import CallboardError


class Command(BaseCommand):
    help = (
        "Register (add), list, remove, report on or migrate sources of the catalog, or apply a file of them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        add = actions.add_parser(
            "add", help="Register an address, a Git repository, a folder, a file or a pattern."
        )
        add.add_argument(
            "target",
            help="https://… of a descriptor, https://….git or ssh://…, a path below CALLBOARD_FILE_ROOTS, or"
            " https://…/api/catalog of another instance; with --type managed the name of a source that is kept here.",
        )
        add.add_argument("--name", default="", help="What people call it.")
        add.add_argument(
            "--type",
            choices=Source.Type.values,
            help="url, git, file, remote or managed; guessed from the target.",
        )
        add.add_argument("--branch", default="", help="Git: branch or tag.")
        add.add_argument(
            "--pattern",
            default="",
            help="Which files, such as **/catalog-info.yaml; of another instance which entities, such as kind=api.",
        )
        add.add_argument(
            "--view", default="", metavar="URL", help="Another instance: address of its pages, for links."
        )
        add.add_argument(
            "--allow", action="append", default=[], metavar="KIND", help="Kinds it may bring, repeatable."
        )
        add.add_argument(
            "--people", action="store_true", help="Its users and groups also count for permissions."
        )
        add.add_argument("--interval", type=int, help="Seconds between two readings; 0 for only on demand.")
        add.add_argument("--wait", action="store_true", help="Read it now and wait for the outcome.")
        add.add_argument("--json", action="store_true")
        listing = actions.add_parser("list", help="What is registered.")
        listing.add_argument("--json", action="store_true")
        remove = actions.add_parser("remove", help="Remove a source with everything it declared.")
        remove.add_argument("name")
        remove.add_argument("--json", action="store_true")
        report = actions.add_parser(
            "report", help="Another instance: what was taken from it and what was lost."
        )
        report.add_argument("name")
        report.add_argument("--json", action="store_true")
        migrate = actions.add_parser(
            "migrate",
            help="Another instance: register here what is registered there. Without --apply only shown.",
        )
        migrate.add_argument("name")
        migrate.add_argument("--apply", action="store_true", help="Register them.")
        migrate.add_argument("--json", action="store_true")
        apply = actions.add_parser("apply", help="Make the sources what a file says.")
        apply.add_argument("--file", default="", help="YAML file; without it that of CALLBOARD_SOURCES.")
        apply.add_argument("--check", action="store_true", help="Only show what would be done.")
        apply.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options)
        except CallboardError as error:
            raise CommandError(" ".join(filter(None, (error.message, error.remedy)))) from error

    def _say(self, options: dict[str, Any], text: str, **data: Any) -> None:
        self.stdout.write(json.dumps(data) if options["json"] else text)

    def _add(self, options: dict[str, Any]) -> None:
        actor = Viewer.system("command line")
        target = options["target"]
        kind = options["type"] or guess_type(target)
        target = absolute_target(kind, target, folder=Path.cwd())
        values: dict[str, Any] = {
            "branch": options["branch"],
            "pattern": options["pattern"],
            "allowed_kinds": options["allow"],
            "view_url": options["view"],
        }
        if options["interval"] is not None:
            values["interval"] = options["interval"]
        source = create_source(
            actor=actor,
            target=target,
            name=options["name"] or (target if kind == Source.Type.MANAGED else ""),
            type=kind,
            registered_by=Source.RegisteredBy.COMMAND,
            may_define_people=options["people"],
            sync=not options["wait"],
            **values,
        )
        if kind == Source.Type.MANAGED:
            self._say(
                options,
                f"{source.name} keeps what is written over REST or with `manage.py entity put`.",
                id=str(source.pk),
                name=source.name,
            )
            return
        if not options["wait"]:
            self._say(
                options,
                f"Registered {source.name}; a worker reads it next.",
                id=str(source.pk),
                name=source.name,
            )
            return
        job = wait_for_job(request_sync(actor=actor, source=source), quiet=options["json"], out=self.stdout)
        result = job.result or {}
        if reason := why_unread(job, source):
            raise CommandError(f"{source.name} is registered but could not be read: {reason}")
        text = f"{source.name}: {result['entities']} entities, {result['problems']} problems."
        self._say(options, text, id=str(source.pk), name=source.name, **result)

    def _list(self, options: dict[str, Any]) -> None:
        for source in Source.objects.visible_to(Viewer.system("command line")):
            seen = source.last_success_at
            when = seen.isoformat(timespec="seconds") if seen else "never"
            text = f"{source.name}\t{source.type}\t{source.target}\t{source.state}\t{when}"
            self._say(options, text, id=str(source.pk), name=source.name, type=source.type, target=source.target,
                      state=source.state, last_success_at=when)  # fmt: skip

    def _named(self, options: dict[str, Any]) -> Source:
        rows = Source.objects.visible_to(Viewer.system("command line"))
        source: Source | None = rows.filter(name=options["name"]).first()
        if source is None:
            raise CommandError(
                f"There is no source named {options['name']}; `manage.py source list` shows them."
            )
        return source

    def _report(self, options: dict[str, Any]) -> None:
        source = self._named(options)
        data = latest_report(Viewer.system("command line"), source).data
        self._say(options, "\n".join(report_lines(data)), source=source.name, **data)

    def _migrate(self, options: dict[str, Any]) -> None:
        source, apply = self._named(options), options["apply"]
        migration = migrate_remote(actor=Viewer.system("command line"), source=source, apply=apply)
        text = "\n".join(migration_lines(source.name, migration, apply=apply))
        self._say(options, text, source=source.name, applied=apply, **asdict(migration))

    def _remove(self, options: dict[str, Any]) -> None:
        actor = Viewer.system("command line")
        source = self._named(options)
        removed = delete_source(actor=actor, source=source)
        self._say(
            options,
            f"Removed {options['name']} and {removed} entities.",
            name=options["name"],
            removed=removed,
        )

    def _apply(self, options: dict[str, Any]) -> None:
        named = options["file"] or settings.CALLBOARD_SOURCES
        if not named:
            self._say(options, "CALLBOARD_SOURCES names no file: nothing to apply.", file=None)
            return
        path = Path(named).absolute()
        applied = apply_declared_sources(path=path, dry_run=options["check"])
        in_use = bool(settings.CALLBOARD_SOURCES) and Path(settings.CALLBOARD_SOURCES).absolute() == path
        data = asdict(applied) | {"file": str(path), "check": options["check"], "rules_in_use": in_use}
        self._say(options, "\n".join(_lines(applied, in_use=in_use)), **data)


def _lines(applied: Applied, *, in_use: bool) -> Iterator[str]:
    for name in applied.created:
        yield f"created    {name}"
    for name, fields in applied.changed.items():
        yield f"changed    {name}: {', '.join(fields)}"
    for name, entities in applied.disabled.items():
        yield f"disabled   {name}: no longer listed; its {entities} entities stay until it is removed"
    yield f"unchanged  {', '.join(applied.unchanged) or 'none'}"
    if applied.has_rules and not in_use:
        yield "The rules of this file count only where CALLBOARD_SOURCES names it."
