"""What can be searched: an entity as flat keys and values (catalog API, "what is searchable")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from catalog.ingest.problems import Problem, Rejected
from portal.core.yaml import js_string

LONGEST_KEY = LONGEST_VALUE = 200  # in UTF-16 units, as JavaScript counts
_LEFT_OUT = frozenset(
    ("attachments", "relations", "status", "metadata.name", "metadata.namespace", "metadata.uid", "metadata.etag")
)


class Attribute(NamedTuple):
    """One searchable fact.

    Args:
        key: dotted path, lower case.
        value: lower case; None where the entity says null or something longer than 200 characters.
        original: the value as written; None with the value.
    """

    key: str
    value: str | None
    original: str | None


def flatten(
    entity: dict[str, Any], relations: Iterable[tuple[str, str]] = (), *, uid: str | None = None
) -> list[Attribute]:
    """The attributes of an entity, each once.

    Args:
        entity: processed, with its namespace.
        relations: pairs of relation type and target reference, from this entity.
        uid: adds ``metadata.uid``.

    Raises:
        Rejected: two keys differ only in letter case (rule ``catalog.attribute.case``); stock cannot show such an
            entity either.
    """
    keys: dict[str, str] = {}  # as written, to lower case
    taken: set[str] = set()
    rows: dict[Attribute, None] = {}

    def add(path: str, value: Any) -> None:
        key = keys.get(path)
        if key is None:
            key = keys[path] = path.lower()
            taken.add(key)
        if value is None:
            rows[Attribute(key, None, None)] = None
            return
        original = value if type(value) is str else js_string(value)
        lowered = original.lower()
        if len(lowered) > 100 and _units(lowered) > LONGEST_VALUE:
            rows[Attribute(key, None, None)] = None
        else:
            rows[Attribute(key, lowered, original)] = None

    def visit(path: str, value: Any) -> None:
        if type(value) is dict:
            for name, item in value.items():
                below = f"{path}.{name}" if path else name
                if type(item) is dict or type(item) is list:
                    if below not in _LEFT_OUT:
                        visit(below, item)
                elif below not in _LEFT_OUT:
                    add(below, item)
        elif type(value) is list:
            for item in value:
                if type(item) is str:
                    add(path, item)
                    member = f"{path}.{item}"
                    if member.lower() not in taken:
                        add(member, True)
                else:
                    visit(path, item)
        else:
            add(path, value)

    visit("", entity)
    metadata = entity["metadata"]
    add("metadata.name", metadata["name"])
    add("metadata.namespace", metadata["namespace"])
    if uid is not None:
        add("metadata.uid", uid)
    for kind, target in relations:
        add(f"relations.{kind}", target)
    if len(taken) != len(keys):
        raise Rejected([_same_keys(keys)])
    if any(len(key) > 100 and _units(key) > LONGEST_KEY for key in taken):
        return [row for row in rows if _units(row.key) <= LONGEST_KEY]
    return list(rows)


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _same_keys(keys: dict[str, str]) -> Problem:
    by_lower: dict[str, list[str]] = {}
    for written, lowered in keys.items():
        by_lower.setdefault(lowered, []).append(written)
    doubles = [" and ".join(written) for written in by_lower.values() if len(written) > 1]
    return Problem(
        "catalog.attribute.case",
        f"Entity has duplicate keys that vary only in casing: {'; '.join(doubles)}",
        remedy="Keep one spelling of the key: searching does not tell them apart.",
    )
