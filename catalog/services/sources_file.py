"""The file of ``CALLBOARD_SOURCES``: sources and allow rules, read and checked. Nothing is written here."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Field

from catalog.ingest.rules import AllowRules
from catalog.models import Source
from catalog.services.targets import absolute_target, guess_type
from portal.core.errors import CallboardError, InputError, ServiceUnavailableError
from portal.core.yaml import Document, load_documents

Steps = tuple[str | int, ...]

TYPES: dict[str, type] = {
    "name": str, "type": str, "target": str, "branch": str, "pattern": str, "presence": str, "allowed_kinds": list,
    "may_define_people": bool, "priority": int, "enabled": bool, "interval": int,
    "view_url": str,
}  # fmt: skip
WORDS: dict[type, str] = {
    str: "a text", int: "a whole number", bool: "true or false", list: "a list", dict: "a mapping",
}  # fmt: skip
RULE_KEYS = ("allow", "locations")
KIND_KEYS = ("kind", "spec.type")
PLACE_KEYS = ("type", "exact", "pattern")


@dataclass(frozen=True, slots=True)
class DeclaredSource:
    """One entry of the file.

    Attributes:
        values: every field of ``Source`` that the file decides about; defaults where the entry says nothing.
        at: its place in the file.
    """

    name: str
    values: Mapping[str, Any]
    at: Steps

    @property
    def place(self) -> tuple[str, ...]:
        """What makes it the same registration."""
        return tuple(self.values[field] for field in ("type", "target", "branch", "pattern"))


class SourcesFile:
    """A file that lists sources.

    Attributes:
        entries: what it lists, in its order.
        rules: None where it has none.

    Raises:
        InputError: the first thing that is wrong with it, with file, line and place.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.document = self._read()
        value = self._checked(self.document.value, dict, ())
        self._refuse_unknown(value, ("rules", "sources"), ())
        listed = self._list(value, "rules", ())
        self.rules: AllowRules | None = None
        if "rules" in value:
            self.rules = AllowRules([rule for i, item in listed for rule in self._rule(item, ("rules", i))])
        self.entries = [self._entry(item, ("sources", i)) for i, item in self._list(value, "sources", ())]
        self._refuse_twice()

    def refusal(
        self, at: Steps, message: str, remedy: str, *, code: str = "catalog.sources-file", key: bool = False
    ) -> InputError:
        """An error at a place of the file.

        Args:
            key: it is about the key there, not its value.
        """
        name = ""
        for step in at:
            name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else step
        pointer = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in at)
        place = self.document.locate(pointer, key=key)
        where = f"{self.path}, line {place.line}" if place else str(self.path)
        return InputError(": ".join(filter(None, (where, name, message))), code=code, remedy=remedy)

    # --- the form

    def _read(self) -> Document:
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be read: {error.strerror}.",
                code="catalog.sources-file.unreadable",
                remedy="Correct the path in CALLBOARD_SOURCES, or let the user of the service read the file.",
            ) from error
        documents = list(load_documents(data))
        for document in documents:
            if document.error is not None:
                line = f", line {document.error.place.line}" if document.error.place else ""
                message = f"{self.path}{line}: {document.error.message}"
                raise InputError(message, code=document.error.code, remedy=document.error.remedy)
        if len(documents) != 1:
            raise InputError(
                f"{self.path} has {len(documents) or 'no'} documents, one is expected.",
                code="catalog.sources-file",
                remedy="Put everything into one document; `sources: []` says that there is no source.",
            )
        return documents[0]

    def _checked(self, value: Any, wanted: type, at: Steps) -> Any:
        if type(value) is wanted:
            return value
        shown = "nothing" if value is None else f"{value!r}"[:80]
        quotes = wanted is str and isinstance(value, int | float)
        remedy = "Put it in quotes." if quotes else f"Write {WORDS[wanted]}, or leave it out."
        raise self.refusal(at, f"{shown} is not {WORDS[wanted]}.", remedy)

    def _list(self, value: Mapping[str, Any], key: str, at: Steps) -> Iterator[tuple[int, Any]]:
        if key not in value:
            return iter(())
        return enumerate(self._checked(value[key], list, (*at, key)))

    def _refuse_unknown(self, value: Mapping[str, Any], known: tuple[str, ...], at: Steps) -> None:
        for key in value:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1, 0.5)
                remedy = f"Is {near[0]} meant? " if near else ""
                remedy += f"Known here: {', '.join(known)}."
                raise self.refusal((*at, key), "there is no such key.", remedy, key=True)

    # --- sources

    def _entry(self, item: Any, at: Steps) -> DeclaredSource:
        self._refuse_unknown(self._checked(item, dict, at), tuple(TYPES), at)
        for needed in ("name", "target"):
            if needed not in item:
                raise self.refusal(at, f"the source has no {needed}.", f"Add {needed}: to it.")
        for field, value in item.items():
            self._check_field(field, value, (*at, field))
        values = {field: _model_field(field).get_default() for field in TYPES}
        values |= {"type": guess_type(item["target"]), "interval": settings.CALLBOARD_SYNC_INTERVAL, **item}
        values["target"] = absolute_target(values["type"], values["target"], folder=self.path.parent)
        return DeclaredSource(item["name"], values, at)

    def _check_field(self, field: str, value: Any, at: Steps) -> None:
        self._checked(value, TYPES[field], at)
        for i, kind in enumerate(value if field == "allowed_kinds" else ()):
            self._checked(kind, str, (*at, i))
        known = _model_field(field)
        choices = [str(choice) for choice, _ in known.flatchoices]
        if choices and value not in choices:
            raise self.refusal(at, f"{value!r} is not known.", f"One of: {', '.join(choices)}.")
        try:
            known.clean(value, None)
        except ValidationError as error:
            raise self.refusal(
                at, " ".join(error.messages), "Change the value; see the documentation of sources."
            ) from error

    def _refuse_twice(self) -> None:
        names: dict[str, DeclaredSource] = {}
        places: dict[tuple[str, ...], DeclaredSource] = {}
        for entry in self.entries:
            if entry.name in names:
                raise self.refusal(
                    (*entry.at, "name"),
                    f"{entry.name} stands in the file twice.",
                    "Rename one, or remove it.",
                )
            if entry.place in places:
                raise self.refusal(
                    (*entry.at, "target"),
                    f"{places[entry.place].name} reads the same.",
                    "Remove one of the two, or give them different patterns.",
                )
            names[entry.name] = places[entry.place] = entry

    # --- rules

    def _rule(self, item: Any, at: Steps) -> tuple[Any, ...]:
        self._refuse_unknown(self._checked(item, dict, at), RULE_KEYS, at)
        for i, kind in self._list(item, "allow", at):
            if isinstance(kind, dict):
                self._refuse_unknown(kind, KIND_KEYS, (*at, "allow", i))
        for i, place in self._list(item, "locations", at):
            where = (*at, "locations", i)
            self._refuse_unknown(self._checked(place, dict, where), PLACE_KEYS, where)
            for key, value in place.items():
                self._checked(value, str, (*where, key))
        try:
            return AllowRules.from_config([item]).rules
        except CallboardError as error:
            raise self.refusal(at, f"{error.message}.", error.remedy, code=error.code) from error


def _model_field(name: str) -> Field[Any, Any]:
    return next(column for column in Source._meta.concrete_fields if column.name == name)


def declared_rules() -> AllowRules | None:
    """What sources without an allow list of their own may bring; None where the file of the settings says nothing.

    Raises:
        ServiceUnavailableError: the file cannot be read, so nobody knows.
    """
    if not settings.CALLBOARD_SOURCES:
        return None
    path = Path(settings.CALLBOARD_SOURCES)
    try:
        status = path.stat()
        return _rules_of(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        message, code, remedy = f"{path} cannot be read: {error.strerror}.", "", "Correct CALLBOARD_SOURCES."
    except InputError as error:
        message, code, remedy = error.message, error.code, error.remedy
    raise ServiceUnavailableError(f"The allow rules are not known: {message}", code=code, remedy=remedy)


@lru_cache(maxsize=4)
def _rules_of(path: Path, changed: int, size: int) -> AllowRules | None:
    return SourcesFile(path).rules
