"""What a bulk operation does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog.models import BulkOperation
from catalog.services.managed.documents import system_field
from portal.core.errors import InputError

Verb = BulkOperation.Verb
#: Verbs that act on the sources of entities, not on the entities.
OF_SOURCES = frozenset({Verb.REFRESH, Verb.UNREGISTER})
_VERBS = (Verb.SET, Verb.DELETE, Verb.REFRESH, Verb.UNREGISTER)
_NAMES = ("name", "namespace")


@dataclass(frozen=True, slots=True)
class Change:
    """One verb, with the merge patch where it is ``set``."""

    verb: str
    patch: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Change:
        """``{"set": {merge patch}}``, or one of ``delete``, ``refresh`` and ``unregister`` with an empty object.

        Raises:
            InputError: another shape, or a patch of what cannot be set.
        """
        if len(body) != 1 or next(iter(body)) not in _VERBS:
            raise _bad(f"request/body/do must have one of {', '.join(_VERBS)}")
        verb, value = next(iter(body.items()))
        if not isinstance(value, Mapping):
            raise _bad(f"request/body/do/{verb} must be object")
        if verb != Verb.SET:
            if value:
                raise _bad(f"request/body/do/{verb} must be empty")
            return cls(verb)
        if not value:
            raise _bad("request/body/do/set names nothing to set")
        metadata = value.get("metadata")
        named = [name for name in _NAMES if isinstance(metadata, Mapping) and name in metadata]
        if "kind" in value or named:
            raise _bad("request/body/do/set cannot change kind, namespace or name")
        if place := system_field(value):
            raise _bad(f"request/body/do/set{place} is filled in by the catalog")
        return cls(verb, dict(value))

    def as_json(self) -> dict[str, Any]:
        return {self.verb: dict(self.patch or {})}


def _bad(message: str) -> InputError:
    return InputError(
        message,
        code="catalog.bulk.change",
        remedy='Write {"set": {"spec": {"owner": "team-a"}}}, {"delete": {}}, {"refresh": {}} or {"unregister": {}}.',
    )
