"""Relations: from the reference fields of an entity, both ways (catalog format, relation pairs)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from catalog.ingest.problems import Problem, pointer, shorten
from catalog.kinds import KindVersion, RelationField
from catalog.refs import DEFAULT_NAMESPACE, RefError, parse_ref


class Relation(NamedTuple):
    """One direction of a relation; source and target are canonical references."""

    source: str
    type: str
    target: str


def relations_of(ref: str, namespace: str, entity: dict[str, Any], kind: KindVersion) -> tuple[list[Relation], list[Problem]]:
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
    spec_type = spec.get("type") if isinstance(spec, dict) else None
    for field in kind.relations:
        if field.spec_types and spec_type not in field.spec_types:
            continue
        value: Any = entity
        for key in field.path:
            value = value.get(key) if isinstance(value, dict) else None
        if not value:
            continue
        for position, text in enumerate(value if isinstance(value, list) else [value]):
            target = _target(text, namespace, field)
            if isinstance(target, RefError):
                path = (*field.path, position) if isinstance(value, list) else field.path
                problems.append(_problem(target, path, text))
            elif target:
                found.add(Relation(ref, field.relation, target))
                found.add(Relation(target, field.reverse, ref))
    return sorted(found), problems


def _target(text: Any, namespace: str, field: RelationField) -> str | RefError:
    try:
        return parse_ref(
            text,
            default_kind=field.default_kind,
            default_namespace=namespace if field.inherit_namespace else DEFAULT_NAMESPACE,
        ).canonical
    except RefError as error:
        return error


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
    changes: dict[str, dict[str, Any]] = {}
    for path in kind.sorted_lists:
        parent: Any = entity
        for key in path[:-1]:
            parent = parent.get(key) if isinstance(parent, dict) else None
        value = parent.get(path[-1]) if isinstance(parent, dict) else None
        if not isinstance(value, list) or len(value) < 2 or not all(isinstance(item, str) for item in value):
            continue
        ordered = sorted(value, key=None if all(map(str.isascii, value)) else _code_units)
        if ordered != value:
            changes.setdefault(".".join(path[:-1]), {})[path[-1]] = ordered
    for parents, values in changes.items():
        entity = _replaced(entity, parents.split(".") if parents else [], values)
    return entity


def _code_units(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _replaced(entity: dict[str, Any], parents: list[str], values: dict[str, Any]) -> dict[str, Any]:
    if not parents:
        return {**entity, **values}
    return {**entity, parents[0]: _replaced(entity[parents[0]], parents[1:], values)}
