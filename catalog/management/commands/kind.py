"""``manage.py kind``: list kinds, and say which ones sources may bring."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.models import Kind
from catalog.services.kinds import allow_kinds, switch_kind_version
from portal.access.viewer import Viewer
from portal.core.errors import CallboardError


class Command(BaseCommand):
    help = (
        "List kinds; allow or refuse them for sources that name none; switch a spec type of a kind on or off."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser(
            "list", help="Every kind, its versions, and whether sources may bring it."
        )
        listing.add_argument("--json", action="store_true")
        for name, text in (("allow", "Sources may bring these kinds unless they say otherwise."),
                           ("refuse", "Only sources that name these kinds may bring them.")):  # fmt: skip
            action = actions.add_parser(name, help=text)
            action.add_argument("kinds", nargs="+", metavar="KIND")
            action.add_argument("--json", action="store_true")
        for name, text in (("enable", "Use the rows of a kind for one spec.type again."),
                           ("disable", "Treat a spec.type as if it had no rows of its own.")):  # fmt: skip
            action = actions.add_parser(name, help=text)
            action.add_argument("kind", metavar="KIND")
            action.add_argument("--spec-type", required=True, help="Such as mcp-server.")
            action.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = Viewer.system("command line")
        action = options["action"]
        if action == "list":
            self._list(actor, as_json=options["json"])
            return
        try:
            if action in ("allow", "refuse"):
                changed = allow_kinds(actor=actor, kinds=options["kinds"], allowed=action == "allow")
            else:
                changed = switch_kind_version(
                    actor=actor,
                    kind=options["kind"],
                    spec_type=options["spec_type"],
                    enabled=action == "enable",
                )
        except CallboardError as error:
            raise CommandError(f"{error.message} {error.remedy}".strip()) from error
        self.stdout.write(json.dumps({"changed": changed}) if options["json"] else f"{changed} changed.")

    def _list(self, actor: Viewer, *, as_json: bool) -> None:
        rows: list[dict[str, Any]] = []
        for kind in Kind.objects.visible_to(actor).prefetch_related("versions"):
            versions = sorted({str(v).partition(" ")[2] for v in kind.versions.all() if v.enabled})
            rows.append(
                {
                    "kind": kind.name,
                    "versions": versions,
                    "allowed": kind.default_allowed,
                    "enabled": kind.enabled,
                }
            )
        if as_json:
            self.stdout.write(json.dumps(rows))
            return
        for row in rows:
            allowed = "any source" if row["allowed"] else "named sources"
            self.stdout.write(f"{row['kind']:14} {allowed:14} {', '.join(row['versions'])}")
