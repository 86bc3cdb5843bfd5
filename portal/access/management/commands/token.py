"""``manage.py token``: bearer tokens for scripts and clients."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from portal.access.management.answers import COMMAND_LINE, AnsweringCommand
from portal.access.models import Token, User
from portal.access.services import create_token, revoke_token


class Command(AnsweringCommand):
    help = "Create, list and revoke bearer tokens."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="Make a token and show it, this once.")
        create.add_argument("--user", required=True, help="Whose rights it has.")
        create.add_argument("--name", default="command line", help="What it is for.")
        create.add_argument(
            "--scope", action="append", default=[], help="An action it is limited to; repeatable."
        )
        create.add_argument("--days", type=int, help="Days until it expires; without, it does not.")
        listing = actions.add_parser("list", help="All tokens, without their text.")
        revoke = actions.add_parser("revoke", help="End a token now.")
        revoke.add_argument("prefix", help="The first characters, as listed.")
        for action in (create, listing, revoke):
            action.add_argument("--json", action="store_true", help="Answer in JSON.")

    def _create(self, options: dict[str, Any]) -> None:
        user = User.objects.filter(username=options["user"], is_active=True).first()
        if user is None:
            raise CommandError(
                f"There is no active person named {options['user']}; `manage.py user create` makes one."
            )
        expires = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        token, text = create_token(
            actor=COMMAND_LINE, user=user, name=options["name"], scopes=options["scope"], expires_at=expires
        )
        self.say(text, token=text, prefix=token.prefix, user=user.username, name=token.name)

    def _list(self, options: dict[str, Any]) -> None:
        for token in Token.objects.visible_to(COMMAND_LINE).select_related("user"):
            state = "revoked" if token.revoked_at else "active"
            used = token.last_used_at.isoformat(timespec="seconds") if token.last_used_at else "never"
            text = f"{token.prefix:14} {state:8} {token.user.username:20} {token.name:20} used {used}"
            self.say(
                text,
                prefix=token.prefix,
                state=state,
                user=token.user.username,
                name=token.name,
                last_used_at=used,
            )

    def _revoke(self, options: dict[str, Any]) -> None:
        found = list(Token.objects.visible_to(COMMAND_LINE).filter(prefix=options["prefix"])[:2])
        if len(found) != 1:
            raise CommandError(
                f"{len(found) or 'No'} tokens begin with {options['prefix']}; `manage.py token list` shows them."
            )
        revoke_token(actor=COMMAND_LINE, token=found[0])
        self.say(f"Revoked {found[0].name}.", prefix=found[0].prefix, state="revoked")
