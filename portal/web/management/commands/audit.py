"""``manage.py audit verify`` and ``audit checkpoint``: walk the chain of audit records, sign where it is."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connection

from portal.access.management.answers import AnsweringCommand
from portal.audit.guards import missing
from portal.audit.services import make_checkpoint, seal, verify, write_checkpoints
from portal.audit.services.checkpoints import Statement, read_checkpoints
from portal.core.crypto import keyring


class Command(AnsweringCommand):
    help = "Check that no audit record was changed, removed or moved, and sign where the record is."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        check = actions.add_parser("verify", help="Seal what is new, then walk the whole chain.")
        check.add_argument(
            "--checkpoints", metavar="FILE", help="JSON lines kept elsewhere, or a folder of them."
        )
        check.add_argument("--public-key", default="", help="Check their signatures by this key (base64).")
        check.add_argument("--json", action="store_true", help="Answer in JSON.")
        point = actions.add_parser(
            "checkpoint", help="Sign where the chain is; prints one JSON line to keep."
        )
        point.add_argument("--json", action="store_true", help="The same: the answer is JSON anyway.")
        key = actions.add_parser("key", help="The key by which others check signatures.")
        key.add_argument("--json", action="store_true", help="Answer in JSON.")

    def _verify(self, options: dict[str, Any]) -> None:
        seal()
        kept = read_checkpoints(Path(options["checkpoints"])) if options["checkpoints"] else ()
        verdict = verify(checkpoints=kept, public_key=options["public_key"])
        gone = missing(connection)
        if verdict.problem:
            if self.as_json:
                self.stdout.write(json.dumps({**asdict(verdict), "guards_missing": gone}))
            raise CommandError(f"{verdict.problem}; the {verdict.holding} before it hold.")
        parts = [f"{verdict.holding} records hold"]
        if verdict.boundary:
            parts.append(f"from the boundary at {verdict.boundary} on")
        parts.append(f"{verdict.checkpoints} checkpoints agree")
        if gone:
            parts.append(f"but the database's guard is off ({', '.join(gone)})")
        self.say(", ".join(parts) + ".", **asdict(verdict), guards_missing=gone)

    def _checkpoint(self, options: dict[str, Any]) -> None:
        made = make_checkpoint()
        if made is None:
            raise CommandError("There is no audit record yet.")
        write_checkpoints()
        self.stdout.write(Statement.of(made).line())

    def _key(self, options: dict[str, Any]) -> None:
        ring = keyring()
        self.say(f"{ring.current_id}:{ring.public_key()}", id=ring.current_id, key=ring.public_key())
