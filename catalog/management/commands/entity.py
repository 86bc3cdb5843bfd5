"""``manage.py entity``: write, delete and restore entities that are kept here, for scripts on the server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.models import Tombstone
from catalog.refs import parse_ref
from catalog.selectors import entity_by_ref
from catalog.services.managed import (
    ANY_VERSION,
    NO_CONDITION,
    Precondition,
    Written,
    delete_entity,
    put_entity,
    restore_revision,
)
from catalog.services.managed.documents import named_ref
from catalog.services.managed.writing import problem_body
from catalog.services.removals import restore_entity
from portal.access.viewer import Viewer
from portal.core.errors import CallboardError, InputError, NotFoundError
from portal.core.yaml import Document, load_documents

ACTOR = Viewer.system("command line")


class Command(BaseCommand):
    help = "Write (put), delete or restore entities that are kept here instead of in files."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        put = actions.add_parser("put", help="Write every document of the files, YAML or JSON.")
        put.add_argument("files", nargs="+", metavar="FILE", help="- reads from standard input.")
        put.add_argument(
            "--if-match",
            default="",
            metavar="ETAG",
            help="The etag that was read, for one document; * overwrites whatever is there.",
        )
        put.add_argument("--source", default="", help="Name of the managed source that shall keep them.")
        delete = actions.add_parser("delete", help="Delete an entity; its tombstone brings it back.")
        restore = actions.add_parser("restore", help="Bring back a removed entity, or an earlier version.")
        for each in (delete, restore):
            each.add_argument("ref", help="Such as component:default/shop.")
        delete.add_argument("--if-match", default="*", metavar="ETAG", help="Only this version; * for any.")
        restore.add_argument("--revision", type=int, metavar="N", help="Number of an earlier version.")
        for each in (put, delete, restore):
            each.add_argument("--json", action="store_true", help="One JSON object a line.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options)
        except CallboardError as error:
            raise CommandError(" ".join(filter(None, (error.message, error.remedy)))) from error

    def _say(self, options: dict[str, Any], text: str, **data: Any) -> None:
        self.stdout.write(json.dumps(data) if options["json"] else text)

    def _put(self, options: dict[str, Any]) -> None:
        """Every document by itself: one that is refused does not keep the others back."""
        documents = [pair for name in options["files"] for pair in _documents(name)]
        if options["if_match"] not in ("", "*") and len(documents) != 1:
            raise CommandError("An etag is that of one document; use --if-match '*' for several.")
        refused = 0
        for place, document in documents:
            try:
                self._written(options, self._put_one(options, document), place)
            except CallboardError as error:
                refused += 1
                text = f"refused    {place}: {error.message} {error.remedy}".rstrip()
                self._say(options, text, place=place, outcome="refused", code=error.code, message=error.message,
                          remedy=error.remedy, **error.details)  # fmt: skip
        if refused:
            raise CommandError(f"{refused} of {len(documents)} documents were refused.")

    def _put_one(self, options: dict[str, Any], read: Document) -> Written:
        if read.error is not None:
            raise InputError(f"It is no YAML: {read.error}", code="catalog.yaml")
        document = read.value
        ref = named_ref(document) if isinstance(document, dict) else None
        if ref is None:
            raise InputError("The document has no kind or no metadata.name.", code="catalog.write.name")
        when = _condition(options["if_match"])
        return put_entity(actor=ACTOR, ref=ref, document=document, when=when, source_name=options["source"])

    def _written(self, options: dict[str, Any], result: Written, place: str = "") -> None:
        entity = result.entity
        text = f"{result.outcome:10} {entity.ref}, version {entity.revision}"
        self._say(options, text, ref=entity.ref, outcome=result.outcome, revision=entity.revision, etag=entity.etag,
                  uid=str(entity.uid), place=place, warnings=[problem_body(w) for w in result.warnings])  # fmt: skip

    def _delete(self, options: dict[str, Any]) -> None:
        result = delete_entity(
            actor=ACTOR, ref=parse_ref(options["ref"]), when=_condition(options["if_match"])
        )
        outcome = "deleted" if result.tombstone else "withdrawn"
        self._say(options, f"{outcome:10} {result.ref}", ref=result.ref, outcome=outcome)

    def _restore(self, options: dict[str, Any]) -> None:
        if options["revision"] is not None:
            entity = entity_by_ref(ACTOR, options["ref"])
            self._written(options, restore_revision(actor=ACTOR, entity=entity, number=options["revision"]))
            return
        stones = Tombstone.objects.visible_to(ACTOR).filter(ref=options["ref"].lower(), restored_at=None)
        stone = stones.order_by("-removed_at", "-pk").first()
        if stone is None:
            raise NotFoundError(f"No entity {options['ref']} was removed lately.")
        entity = restore_entity(actor=ACTOR, tombstone=stone)
        self._say(
            options, f"restored   {entity.ref}", ref=entity.ref, outcome="restored", uid=str(entity.uid)
        )


def _condition(text: str) -> Precondition:
    if not text:
        return NO_CONDITION
    return ANY_VERSION if text == "*" else Precondition(match=(text.strip('"'),))


def _documents(name: str) -> Iterator[tuple[str, Document]]:
    """Every document of a file with its place.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}.", remedy="Check the path.") from error
    for document in load_documents(data):
        yield f"{name}:{document.first_line}", document
