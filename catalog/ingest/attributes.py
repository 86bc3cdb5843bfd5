"""What can be searched: an entity as flat keys and values (catalog API, "what is searchable")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from catalog.ingest.problems import Problem, Rejected
from portal.core.yaml import js_string

LONGEST_KEY = LONGEST_VALUE = 200  # in UTF-16 units, as JavaScript counts
_NOT_SEARCHED = frozenset(("attachments", "relations", "status"))
_SEPARATE = frozenset(("name", "namespace", "uid", "etag"))  # of metadata


# Key: dotted path, lower case. Value: lower case; None where the entity says null or something longer than 200
# characters. Original: the value as written; None with the value.
Attribute = tuple[str, str | None, str | None]


def flatten(
    entity: dict[str, Any], relations: Iterable[tuple[str, str]] = (), *, uid: str | None = None
) -> list[Attribute]:
    """The attributes of an entity as (key, value, original), each once.

    Args:
        entity: processed, with its namespace.
        relations: pairs of relation type and target reference, from this entity.
        uid: adds ``metadata.uid``.

    Raises:
        Rejected: two keys differ only in letter case (rule ``catalog.attribute.case``); stock cannot show such an
            entity either.
    """
    taken: dict[str, str] = {}  # keys in lower case -> as the author wrote them first
    doubles: set[str] = set()
    rows: dict[Attribute, None] = {}

    def add(path: str, value: Any) -> None:
        key = path.lower()
        if taken.setdefault(key, path) != path:
            doubles.add(path)
        if value is None:
            rows[key, None, None] = None
            return
        original = value if type(value) is str else js_string(value)
        lowered = original.lower()
        if len(lowered) > 100 and _units(lowered) > LONGEST_VALUE:
            rows[key, None, None] = None
        else:
            rows[key, lowered, original] = None

    def visit_mapping(path: str, mapping: dict[str, Any]) -> None:
        for name, item in mapping.items():
            if type(item) is dict:
                visit_mapping(f"{path}.{name}", item)
            elif type(item) is list:
                visit_list(f"{path}.{name}", item)
            else:
                add(f"{path}.{name}", item)

    def visit_list(path: str, items: list[Any]) -> None:
        for item in items:
            if type(item) is str:
                add(path, item)
                member = f"{path}.{item}"
                if member.lower() not in taken:
                    add(member, True)
            elif type(item) is dict:
                visit_mapping(path, item)
            elif type(item) is list:
                visit_list(path, item)
            else:
                add(path, item)

    metadata = entity["metadata"]
    for name, item in entity.items():
        if name == "metadata":
            visit_mapping(name, {key: value for key, value in metadata.items() if key not in _SEPARATE})
        elif type(item) is dict and name not in _NOT_SEARCHED:
            visit_mapping(name, item)
        elif name not in _NOT_SEARCHED:
            add(name, item)
    add("metadata.name", metadata["name"])
    add("metadata.namespace", metadata["namespace"])
    if uid is not None:
        add("metadata.uid", uid)
    for kind, target in relations:
        add(f"relations.{kind}", target)
    if doubles:
        raise Rejected([_same_keys({*taken.values(), *doubles})])
    if len(max(taken, key=len)) > 100:
        return [row for row in rows if _units(row[0]) <= LONGEST_KEY]
    return list(rows)


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _same_keys(keys: set[str]) -> Problem:
    by_lower: dict[str, list[str]] = {}
    for key in sorted(keys):
        by_lower.setdefault(key.lower(), []).append(key)
    doubles = [" and ".join(spellings) for spellings in by_lower.values() if len(spellings) > 1]
    return Problem(
        "catalog.attribute.case",
        f"Entity has duplicate keys that vary only in casing: {'; '.join(doubles)}",
        remedy="Keep one spelling of the key: searching does not tell them apart.",
    )
