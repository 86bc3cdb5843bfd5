"""``manage.py webhook``: who is told of events by HTTP."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from portal.access.management.answers import COMMAND_LINE, AnsweringCommand
from portal.events.models import Delivery, Subscription
from portal.events.selectors import bounds, deliveries_of
from portal.events.services import (
    create_subscription,
    delete_subscription,
    ping,
    redeliver_all,
    rotate_secret,
    switch_off,
    switch_on,
)
from portal.events.services.messages import message_id
from portal.events.services.subscriptions import STARTS


class Command(AnsweringCommand):
    help = "Add, list, test and mend webhooks."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        add = actions.add_parser("add", help="Add a webhook and show its secret, this once.")
        add.add_argument("name")
        add.add_argument("url")
        add.add_argument(
            "--type", action="append", default=[], help="A type, or its beginning and *; repeatable."
        )
        add.add_argument(
            "--subject", action="append", default=[], help="A subject, or its beginning and *; repeatable."
        )
        add.add_argument("--start", choices=("now", "oldest"), default="now", help="Which events it gets.")
        listing = actions.add_parser("list", help="All webhooks and how they do.")
        named = {
            "test": "Send callboard.ping now.",
            "dead": "The dead letters of a webhook.",
            "redeliver": "Send all dead letters of a webhook again.",
            "rotate": "A new secret; the one before it signs as well for a day.",
            "on": "Switch it on.",
            "off": "Switch it off.",
            "remove": "Remove it with its deliveries.",
        }
        others = [actions.add_parser(action, help=text) for action, text in named.items()]
        for action in others:
            action.add_argument("name")
        others[4].add_argument("--start", choices=STARTS, default="resume", help="Where it goes on.")
        for action in (add, listing, *others):
            action.add_argument("--json", action="store_true", help="Answer in JSON.")

    def _named(self, options: dict[str, Any]) -> Subscription:
        found = Subscription.objects.visible_to(COMMAND_LINE).filter(name=options["name"]).first()
        if found is None:
            raise CommandError(
                f"There is no webhook named {options['name']}; `manage.py webhook list` shows them."
            )
        return found

    def _add(self, options: dict[str, Any]) -> None:
        row, secret = create_subscription(
            actor=COMMAND_LINE,
            name=options["name"],
            url=options["url"],
            types=options["type"],
            subjects=options["subject"],
            start=options["start"],
        )
        self.say(secret, id=str(row.pk), name=row.name, url=row.url, secret=secret)

    def _list(self, options: dict[str, Any]) -> None:
        newest = bounds()[1]
        for row in Subscription.objects.visible_to(COMMAND_LINE).order_by("name"):
            waiting = max(newest - row.position, 0)
            state = "failing" if row.enabled and row.failures else "on" if row.enabled else "off"
            text = f"{row.name:24} {state:8} {waiting:>7} waiting  {row.url}"
            self.say(
                "\n".join(filter(None, (text, row.reason and f"  {row.reason}"))),
                id=str(row.pk),
                name=row.name,
                url=row.url,
                types=row.types,
                subjects=row.subjects,
                state=state,
                reason=row.reason,
                waiting=waiting,
                last_error=row.last_error,
            )

    def _test(self, options: dict[str, Any]) -> None:
        outcome = ping(actor=COMMAND_LINE, subscription=self._named(options))
        if not outcome.ok:
            raise CommandError(outcome.error)
        seconds = round(outcome.seconds, 3)
        self.say(
            f"It answered with status {outcome.status} in {seconds} s.",
            ok=True,
            status=outcome.status,
            seconds=seconds,
        )

    def _dead(self, options: dict[str, Any]) -> None:
        rows = deliveries_of(COMMAND_LINE, self._named(options)).filter(state=Delivery.State.DEAD)
        for row in rows.iterator():
            self.say(
                f"{row.last_at:%Y-%m-%d %H:%M:%S}  {row.type:30} {row.subject}  {row.error}",
                key=row.pk,
                id=message_id(row.message_id),
                type=row.type,
                subject=row.subject,
                attempts=row.attempts,
                error=row.error,
            )

    def _redeliver(self, options: dict[str, Any]) -> None:
        count = redeliver_all(actor=COMMAND_LINE, subscription=self._named(options))
        self.say(f"{count} dead letters are sent again.", redelivered=count)

    def _rotate(self, options: dict[str, Any]) -> None:
        row, secret = rotate_secret(actor=COMMAND_LINE, subscription=self._named(options))
        self.say(secret, name=row.name, secret=secret)

    def _on(self, options: dict[str, Any]) -> None:
        row = switch_on(actor=COMMAND_LINE, subscription=self._named(options), start=options["start"])
        self.say(f"{row.name} is on.", name=row.name, enabled=True)

    def _off(self, options: dict[str, Any]) -> None:
        row = switch_off(actor=COMMAND_LINE, subscription=self._named(options))
        self.say(f"{row.name} is off.", name=row.name, enabled=False)

    def _remove(self, options: dict[str, Any]) -> None:
        row = self._named(options)
        delete_subscription(actor=COMMAND_LINE, subscription=row)
        self.say(f"Removed {row.name}.", name=row.name)
