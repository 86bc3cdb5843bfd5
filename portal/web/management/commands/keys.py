"""``manage.py keys new``: a key for CALLBOARD_KEYS, and a secret key."""

from __future__ import annotations

import secrets
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from portal.access.management.answers import AnsweringCommand
from portal.core.crypto import new_key


class Command(AnsweringCommand):
    help = "Make keys. Nothing is stored: put the lines into the environment of every process."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        new = actions.add_parser("new", help="A new entry for CALLBOARD_KEYS and a new CALLBOARD_SECRET_KEY.")
        new.add_argument("--id", default="", help="Name of the key; by default today's date.")
        new.add_argument("--json", action="store_true", help="Answer in JSON.")

    def _new(self, options: dict[str, Any]) -> None:
        name = options["id"] or f"k{timezone.now():%Y%m%d}"
        key, secret = f"{name}:{new_key()}", secrets.token_urlsafe(60)
        self.say(f"CALLBOARD_KEYS={key}\nCALLBOARD_SECRET_KEY={secret}", key=key, secret_key=secret)
