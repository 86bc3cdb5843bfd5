"""``manage.py demo``: the demo company and its sign-ins, for a look around on one's own machine."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.management.waiting import wait_for_job
from catalog.models import Kind, Source
from catalog.services.sources import create_source, request_sync
from portal.access.models import User
from portal.access.services import create_user, link_person
from portal.access.viewer import Viewer

DEMO = Path("deploy") / "demo"
SOURCE = "Demo company"


class Command(BaseCommand):
    help = "Load the demo company and create its sign-ins (random passwords, kept in the data folder)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if not getattr(settings, "CALLBOARD_LOCAL", False):
            raise CommandError("The demo belongs to the local mode; production settings do not load it.")
        actor = Viewer.system("demo")
        people = self._people(actor)
        folder = (settings.BASE_DIR / DEMO).resolve()
        source = Source.objects.visible_to(actor).filter(name=SOURCE).first()
        if source is None:
            source = create_source(
                actor=actor,
                name=SOURCE,
                target=str(folder / "catalog-info.yaml"),
                type=Source.Type.FILE,
                registered_by=Source.RegisteredBy.SETTINGS,
                may_define_people=True,
                allowed_kinds=list(Kind.objects.visible_to(actor).values_list("name", flat=True)),
                sync=False,
            )
        job = wait_for_job(request_sync(actor=actor, source=source), quiet=options["json"], out=self.stdout)
        if job.state != "succeeded":
            raise CommandError(
                f"The demo company could not be read: {(job.error or {}).get('message', job.state)}"
            )
        for person in people:
            user = User.objects.get(username=person["username"])
            link_person(actor=actor, user=user, ref=person["user_entity"])
        result = job.result or {}
        if options["json"]:
            self.stdout.write(
                json.dumps({"source": SOURCE, **result, "people": [p["username"] for p in people]})
            )
        else:
            self.stdout.write(
                f"Demo company: {result['entities']} entities, {result['problems']} problems to look at."
            )

    def _people(self, actor: Viewer) -> list[dict[str, Any]]:
        """The demo people, created on the first run; their passwords are random and stay in the data folder."""
        listed = json.loads((settings.BASE_DIR / DEMO / "people.json").read_text())
        path = settings.DATA_DIR / "demo-people.json"
        known = {p["username"]: p for p in json.loads(path.read_text())} if path.exists() else {}
        for person in listed:
            name = person["username"]
            password = known.get(name, {}).get("password") or "-".join(secrets.token_hex(2) for _ in range(3))
            known[name] = {**person, "password": password}
            user = User.objects.filter(username=name).first()
            if user is None:
                create_user(
                    actor=actor,
                    username=name,
                    email=person["email"],
                    full_name=person["full_name"],
                    password=password,
                    is_staff=person["is_staff"],
                    is_superuser=person["is_superuser"],
                )
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as f:
            json.dump(list(known.values()), f, indent=1)
        return listed
