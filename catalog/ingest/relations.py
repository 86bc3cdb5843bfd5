"""Relations: from the reference fields of an entity, both ways (catalog format, relation pairs)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from catalog.ingest.problems import Problem, pointer, shorten
from catalog.kinds import KindVersion, RelationField
from catalog.refs import DEFAULT_NAMESPACE, RefError, parse_ref


class Relation(NamedTuple):
    """One direction of a relation; source and target are canonical references."""

    source: str
    type: str
    target: str


def relations_of(
    ref: str, namespace: str, entity: dict[str, Any], kind: KindVersion
) -> tuple[list[Relation], list[Problem]]:
    """Both directions of every relation that an entity declares: distinct, sorted by source, type and target.

    A value that is neither a text nor a list makes no relation: what a field must be is the schema's business, and
    stock's own fields without a schema (``dependencyOf``) take a single text.

    Args:
        ref: canonical reference of the entity.
        namespace: its namespace, which references without one inherit.

    Returns:
        the relations, and a problem for every reference that cannot be read.
    """
    found: set[Relation] = set()
    problems: list[Problem] = []
    spec = entity.get("spec")
    spec_type = str(spec.get("type", "")) if isinstance(spec, dict) else ""
    new = tuple.__new__  # half the time of Relation(...), and most of what this function does
    for field in kind.relations:
        if field.spec_types and spec_type not in field.spec_types:
            continue
        value: Any = entity
        for key in field.path:
            value = value.get(key) if isinstance(value, dict) else None
        if not value:
            continue
        listed = isinstance(value, list)
        for position, text in enumerate(value if listed else (value,)):
            target = _target(text, namespace, field)
            if isinstance(target, str):
                found.add(new(Relation, (ref, field.relation, target)))
                found.add(new(Relation, (target, field.reverse, ref)))
            else:
                problems.append(_problem(target, (*field.path, position) if listed else field.path, text))
    return sorted(found), problems


def _target(text: Any, namespace: str, field: RelationField) -> str | RefError:
    try:
        if isinstance(text, str):
            return _canonical(
                text, field.default_kind, namespace if field.inherit_namespace else DEFAULT_NAMESPACE
            )
        return parse_ref(text, default_kind=field.default_kind).canonical
    except RefError as error:
        return error


@lru_cache(maxsize=65536)  # owners, systems and APIs are named over and over
def _canonical(text: str, default_kind: str | None, default_namespace: str) -> str:
    return parse_ref(text, default_kind=default_kind, default_namespace=default_namespace).canonical


def _problem(error: RefError, path: Iterable[str | int], text: Any) -> Problem:
    place = pointer(*path)
    return Problem(
        f"catalog.relation.{error.code.rpartition('.')[2]}",
        f"{place}: {error.message}",
        place,
        shorten(text),
        remedy=error.remedy,
    )


def sort_lists(entity: dict[str, Any], kind: KindVersion) -> dict[str, Any]:
    """The entity with the lists of texts that its kind keeps sorted in JavaScript's order; nothing changes in place."""
    for parents, names in kind.sorted_lists:
        parent: Any = entity
        for key in parents:
            parent = parent.get(key) if isinstance(parent, dict) else None
        if not isinstance(parent, dict):
            continue
        changes: dict[str, Any] = {}
        for name in names & parent.keys():
            value = parent[name]
            if isinstance(value, list) and len(value) > 1 and all(isinstance(item, str) for item in value):
                changes[name] = sorted(value, key=None if all(map(str.isascii, value)) else _code_units)
        if changes:
            entity = _replaced(entity, parents, changes)
    return entity


def _code_units(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _replaced(entity: dict[str, Any], parents: tuple[str, ...], values: dict[str, Any]) -> dict[str, Any]:
    if not parents:
        return {**entity, **values}
    return {**entity, parents[0]: _replaced(entity[parents[0]], parents[1:], values)}
