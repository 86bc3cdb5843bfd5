"""``manage.py user create``: people, without a form."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.core.management.base import CommandParser

from portal.access.management.answers import COMMAND_LINE, AnsweringCommand
from portal.access.models import User
from portal.access.services import create_user, link_person


class Command(AnsweringCommand):
    help = "Create and list people who can sign in."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="Create a person.")
        create.add_argument("username")
        create.add_argument("--email", default="")
        create.add_argument("--full-name", default="")
        create.add_argument("--ref", default="", help="Their User entity, such as user:default/maren.")
        create.add_argument(
            "--staff", action="store_true", help="May curate: register, edit, administer sources."
        )
        create.add_argument(
            "--admin", action="store_true", help="May do everything in /admin/; implies --staff."
        )
        create.add_argument(
            "--password", action="store_true", help="Ask for a password, or read one line of standard input."
        )
        listing = actions.add_parser("list", help="Everybody who can sign in.")
        for action in (create, listing):
            action.add_argument("--json", action="store_true", help="Answer in JSON.")

    def _create(self, options: dict[str, Any]) -> None:
        password = None
        if options["password"]:
            terminal = sys.stdin.isatty()
            password = getpass.getpass("Password: ") if terminal else sys.stdin.readline().rstrip("\n")
        user = create_user(
            actor=COMMAND_LINE,
            username=options["username"],
            email=options["email"],
            full_name=options["full_name"],
            password=password,
            is_staff=options["staff"] or options["admin"],
            is_superuser=options["admin"],
        )
        if options["ref"]:
            link_person(actor=COMMAND_LINE, user=user, ref=options["ref"].lower())
        self.say(f"Created {user.username}.", username=user.username, external_id=str(user.external_id))

    def _list(self, options: dict[str, Any]) -> None:
        for user in User.objects.visible_to(COMMAND_LINE):
            role = "admin" if user.is_superuser else "staff" if user.is_staff else "member"
            self.say(
                f"{user.username:20} {role:7} {user.email}",
                username=user.username,
                role=role,
                email=user.email,
            )
