"""``manage.py audit verify``: walk the chain of audit records."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from portal.access.management.answers import AnsweringCommand
from portal.audit.services import seal, verify


class Command(AnsweringCommand):
    help = "Check that no audit record was changed, removed or moved."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        check = actions.add_parser("verify", help="Seal what is new, then walk the whole chain.")
        check.add_argument("--json", action="store_true", help="Answer in JSON.")

    def _verify(self, options: dict[str, Any]) -> None:
        seal()
        verdict = verify()
        if verdict.problem:
            raise CommandError(f"{verdict.problem}; the {verdict.holding} before it hold.")
        self.say(f"{verdict.holding} records hold.", holding=verdict.holding)
