"""``manage.py hook``: webhooks of Git hosts; make them, look at what came, do it again."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.models import Hook, HookDelivery, Source
from catalog.presenters.hook import hook_address, setup_steps
from catalog.services.hooks import (
    HookSecret,
    create_hook,
    delete_hook,
    replay_delivery,
    rotate_secret,
    sources_named_by,
)
from portal.access.viewer import Viewer
from portal.core.errors import CallboardError

SHOWN = 50


class Command(BaseCommand):
    help = "Webhooks of Git hosts: add, list, show deliveries, replay one, give a new secret, remove."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        add = actions.add_parser("add", help="Make an endpoint; its secret is shown once.")
        add.add_argument("name")
        add.add_argument("--provider", choices=Hook.Provider.values, required=True)
        add.add_argument(
            "--source",
            action="append",
            default=[],
            metavar="NAME",
            help="May read only this one; repeatable.",
        )
        add.add_argument(
            "--secret-ref", default="", help="Where the secret is: env:NAME, file:PATH, vault:PATH#KEY."
        )
        listing = actions.add_parser("list", help="Every webhook.")
        deliveries = actions.add_parser("deliveries", help="The last deliveries of one.")
        deliveries.add_argument("name")
        replay = actions.add_parser("replay", help="Look at a delivery anew.")
        replay.add_argument("delivery", type=int, help="Its number, as `deliveries` shows it.")
        rotate = actions.add_parser("rotate", help="A new secret; the former one counts for a while.")
        rotate.add_argument("name")
        rotate.add_argument("--secret-ref", default="", help="Where the new secret is.")
        rotate.add_argument("--overlap", type=int, default=24, metavar="HOURS")
        remove = actions.add_parser("remove", help="Remove a webhook with its deliveries.")
        remove.add_argument("name")
        for each in (add, listing, deliveries, replay, rotate, remove):
            each.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        self.actor = Viewer.system("command line")
        try:
            getattr(self, f"_{options['action']}")(options)
        except CallboardError as error:
            raise CommandError(" ".join(filter(None, (error.message, error.remedy)))) from error

    def _say(self, options: dict[str, Any], text: str, **data: Any) -> None:
        self.stdout.write(json.dumps(data) if options["json"] else text)

    def _named(self, name: str) -> Hook:
        hook = Hook.objects.visible_to(self.actor).filter(name=name).first()
        if hook is None:
            raise CommandError(f"There is no webhook named {name}; `manage.py hook list` shows them.")
        return hook

    def _add(self, options: dict[str, Any]) -> None:
        sources = []
        for name in options["source"]:
            source = Source.objects.visible_to(self.actor).filter(name=name).first()
            if source is None:
                raise CommandError(f"There is no source named {name}; `manage.py source list` shows them.")
            sources.append(source)
        made = create_hook(
            actor=self.actor,
            name=options["name"],
            provider=options["provider"],
            sources=sources,
            secret_ref=options["secret_ref"],
        )
        self._show_secret(options, made)

    def _show_secret(self, options: dict[str, Any], made: HookSecret) -> None:
        hook = made.hook
        lines = [f"Address: {hook_address(hook)}"]
        lines.append(
            f"Secret, shown this once: {made.secret}" if made.secret else f"Secret: {hook.secret_ref}"
        )
        lines += [f"{number}. {step}" for number, step in enumerate(setup_steps(hook.provider), start=1)]
        self._say(
            options,
            "\n".join(lines),
            id=str(hook.pk),
            name=hook.name,
            provider=hook.provider,
            url=hook_address(hook),
            **({"secret": made.secret} if made.secret else {"secret_ref": hook.secret_ref}),
        )

    def _list(self, options: dict[str, Any]) -> None:
        for hook in Hook.objects.visible_to(self.actor).order_by("name"):
            last = hook.last_delivery_at.isoformat(timespec="seconds") if hook.last_delivery_at else "never"
            named = [source.name for source in sources_named_by(hook)] if hook.limited else []
            state = "on" if hook.enabled else "off"
            text = f"{hook.name}\t{hook.provider}\t{state}\t{last}\t{', '.join(named) or 'all that match'}"
            self._say(options, text, id=str(hook.pk), name=hook.name, provider=hook.provider, enabled=hook.enabled,
                      url=hook_address(hook), limited=hook.limited, sources=named, last_delivery_at=last)  # fmt: skip

    def _deliveries(self, options: dict[str, Any]) -> None:
        rows = HookDelivery.objects.visible_to(self.actor).filter(hook=self._named(options["name"]))
        for row in rows.defer("body").order_by("-pk")[:SHOWN]:
            when = row.received_at.isoformat(timespec="seconds")
            text = f"{row.pk}\t{when}\t{row.verdict}\t{row.repository}\t{row.branch}\t{row.message}"
            self._say(options, text, id=row.pk, delivery_id=row.delivery_id, attempt=row.attempt, received_at=when,
                      verdict=row.verdict, message=row.message, repository=row.repository, branch=row.branch,
                      commit=row.commit, duplicates=row.duplicates, targets=row.targets)  # fmt: skip

    def _replay(self, options: dict[str, Any]) -> None:
        rows = HookDelivery.objects.visible_to(self.actor).defer("body")
        delivery = rows.filter(pk=options["delivery"]).first()
        if delivery is None:
            raise CommandError(
                f"There is no delivery {options['delivery']}; `manage.py hook deliveries` shows them."
            )
        again = replay_delivery(actor=self.actor, delivery=delivery)
        self._say(options, again.message, id=again.pk, verdict=again.verdict, message=again.message,
                  targets=again.targets)  # fmt: skip

    def _rotate(self, options: dict[str, Any]) -> None:
        made = rotate_secret(
            actor=self.actor,
            hook=self._named(options["name"]),
            secret_ref=options["secret_ref"],
            overlap=timedelta(hours=options["overlap"]),
        )
        self._show_secret(options, made)

    def _remove(self, options: dict[str, Any]) -> None:
        hook = self._named(options["name"])
        gone = delete_hook(actor=self.actor, hook=hook)
        self._say(options, f"Removed {hook.name} and {gone} deliveries.", name=hook.name, deliveries=gone)
