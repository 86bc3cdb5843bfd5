"""``manage.py events tail``: what happens, as it happens."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandParser

from portal.access.management.answers import COMMAND_LINE, AnsweringCommand
from portal.events.cursors import NOW, open_cursor, seal_cursor
from portal.events.filters import EventFilter
from portal.events.selectors import LARGEST_LIMIT, bounds, feed_page
from portal.events.services.messages import event_json

POLL_SECONDS = 0.5


class Command(AnsweringCommand):
    help = "Follow the change feed."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        tail = actions.add_parser("tail", help="Print events as they happen, until Ctrl-C.")
        tail.add_argument(
            "--type", action="append", default=[], help="A type, or its beginning and *; repeatable."
        )
        tail.add_argument(
            "--subject", action="append", default=[], help="A subject, or its beginning and *; repeatable."
        )
        tail.add_argument(
            "--cursor", default=NOW, help="Where to begin; `now` (default), or one that was printed."
        )
        tail.add_argument("--all", action="store_true", help="Begin with the oldest event that is kept.")
        tail.add_argument("--once", action="store_true", help="End when there is nothing more.")
        tail.add_argument("--json", action="store_true", help="One JSON object a line, with a cursor each.")

    def _tail(self, options: dict[str, Any]) -> None:
        wanted = EventFilter.of(options["type"], options["subject"])
        position: int | None = bounds()[1] if options["cursor"] == NOW else open_cursor(options["cursor"])
        if options["all"]:
            position = None
        try:
            while True:
                page = feed_page(COMMAND_LINE, position, wanted, LARGEST_LIMIT)
                position = page.position
                for row in page.rows:
                    event = event_json(
                        uid=row.uid, type=row.type, subject=row.subject, data=row.data, at=row.at
                    )
                    text = f"{event['at']}  {row.type:30} {row.subject}"
                    self.say(text, **event, cursor=seal_cursor(row.position))
                if page.rows:
                    self.stdout.flush()
                if not page.has_more:
                    if options["once"]:
                        return
                    time.sleep(POLL_SECONDS)
        except (KeyboardInterrupt, BrokenPipeError):
            return
