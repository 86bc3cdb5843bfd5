"""``manage.py connection``: hosts that Callboard may talk to."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from portal.access.management.answers import COMMAND_LINE, AnsweringCommand
from portal.connections.models import Connection
from portal.connections.services import check_connection, delete_connection, save_connection


class Command(AnsweringCommand):
    help = "Add, list, check and remove connections to hosts."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        add = actions.add_parser("add", help="Add a connection, or change the one of that name.")
        add.add_argument("name")
        add.add_argument(
            "--host", required=True, help="Host name, with a port where it is not the usual one."
        )
        add.add_argument("--kind", choices=Connection.Kind.values, default=Connection.Kind.PLAIN)
        add.add_argument("--base-url", default="", help="Address of the web pages, if not https://HOST.")
        add.add_argument("--api-url", default="")
        add.add_argument("--read-over", choices=Connection.ReadOver.values, default=Connection.ReadOver.GIT)
        add.add_argument("--prefix", action="append", default=[], help="A path that may be read; repeatable.")
        add.add_argument("--username", default="")
        add.add_argument(
            "--credential", default="", help="env:NAME, file:PATH or vault:PATH#KEY; never the secret itself."
        )
        add.add_argument(
            "--allow-private", action="store_true", help="The host may have an internal address."
        )
        add.add_argument("--rate", type=int, default=0, help="Most calls a minute; 0 for no limit.")
        listing = actions.add_parser("list", help="All connections.")
        check = actions.add_parser("check", help="Talk to the host once.")
        check.add_argument("name")
        remove = actions.add_parser("remove", help="Remove a connection.")
        remove.add_argument("name")
        for action in (add, listing, check, remove):
            action.add_argument("--json", action="store_true", help="Answer in JSON.")

    def _named(self, name: str) -> Connection:
        found = Connection.objects.visible_to(COMMAND_LINE).filter(name=name).first()
        if found is None:
            raise CommandError(
                f"There is no connection named {name}; `manage.py connection list` shows them."
            )
        return found

    def _add(self, options: dict[str, Any]) -> None:
        existing = Connection.objects.visible_to(COMMAND_LINE).filter(name=options["name"]).first()
        fields = (
            "name",
            "kind",
            "host",
            "base_url",
            "api_url",
            "read_over",
            "username",
            "credential",
            "allow_private",
        )
        values = {field: options[field] for field in fields}
        saved = save_connection(
            actor=COMMAND_LINE,
            connection=existing,
            allowed_prefixes=options["prefix"],
            rate_per_minute=options["rate"],
            **values,
        )
        self.say(f"Saved {saved.name} for {saved.host}.", name=saved.name, host=saved.host, kind=saved.kind)

    def _list(self, options: dict[str, Any]) -> None:
        for row in Connection.objects.visible_to(COMMAND_LINE):
            state = "on" if row.enabled else "off"
            self.say(f"{row.name:20} {row.kind:16} {row.host:30} {state}", name=row.name, kind=row.kind, host=row.host,
                     enabled=row.enabled)  # fmt: skip

    def _check(self, options: dict[str, Any]) -> None:
        result = check_connection(actor=COMMAND_LINE, connection=self._named(options["name"]))
        if not result.ok:
            raise CommandError(f"{result.problem} {result.remedy}")
        self.say(
            f"{result.url} answers, in {result.seconds} s.",
            name=options["name"],
            url=result.url,
            seconds=result.seconds,
        )

    def _remove(self, options: dict[str, Any]) -> None:
        delete_connection(actor=COMMAND_LINE, connection=self._named(options["name"]))
        self.say(f"Removed {options['name']}.", name=options["name"])
