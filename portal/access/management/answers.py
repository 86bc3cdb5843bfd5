"""What commands of the house have in common: text for people, JSON for scripts, errors with their remedy."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.access.viewer import Viewer
from portal.core.errors import CallboardError

COMMAND_LINE = Viewer.system("command line")


class AnsweringCommand(BaseCommand):
    """A command with actions; ``_<action>(options)`` does one."""

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = bool(options.get("json"))
        try:
            getattr(self, f"_{options['action']}")(options)
        except CallboardError as error:
            raise CommandError(" ".join(filter(None, (error.message, error.remedy)))) from error

    def say(self, text: str, **data: Any) -> None:
        """One answer: ``text``, or ``data`` with ``--json``."""
        self.stdout.write(json.dumps(data) if self.as_json else text)
