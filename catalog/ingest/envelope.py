"""The first look at a document: is it an entity at all, and does it have a name (catalog format, layer A)?

A failure here cannot be attached to an entity, so stock charges it to the Location that read the file.
"""

from __future__ import annotations

from typing import Any

from catalog.ingest.problems import Fix, Problem, pointer, shorten


def validate_envelope(value: Any) -> list[Problem]:
    """All that keeps a value from being an entity with a name, in stock's order; empty when nothing does.

    Args:
        value: what the document says.
    """
    if not isinstance(value, dict):
        return [
            Problem(
                "catalog.envelope.not-object",
                f"Expected an object at the root, found {_type_name(value)} {shorten(value)}",
                value=shorten(value),
                remedy="A descriptor begins with apiVersion, kind, metadata and spec.",
            )
        ]
    problems = [_missing(name) for name in ("apiVersion", "kind", "metadata") if name not in value]
    problems += [
        problem
        for name in ("apiVersion", "kind")
        if name in value and (problem := _not_text(value[name], name)) is not None
    ]
    if "metadata" not in value:
        return problems
    metadata = value["metadata"]
    if not isinstance(metadata, dict):
        problems.append(_wrong_type(metadata, "object", "metadata"))
        return problems
    if "name" not in metadata:
        problems.append(_missing("name", "metadata"))
    for name in ("name", "namespace"):
        if name in metadata and (problem := _not_text(metadata[name], "metadata", name)) is not None:
            problems.append(problem)
    annotations = metadata.get("annotations")
    if annotations is not None and not isinstance(annotations, dict):
        problems.append(
            Problem(
                "catalog.envelope.annotations",
                f"metadata.annotations must be a valid object, found {shorten(annotations)}",
                pointer("metadata", "annotations"),
                shorten(annotations),
                error_name="Error",
                remedy="Write annotations as key: value lines.",
            )
        )
    return problems


def _missing(name: str, *parent: str) -> Problem:
    where = pointer(*parent)
    example = {"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "name": "my-service"}.get(name, "")
    return Problem(
        "catalog.envelope.required",
        f"{where or '<root>'} must have required property '{name}' - missingProperty: {name}",
        where,
        error_name="TypeError",
        remedy=f"Add {name}.",
        fix=Fix("add", f"{name}: {example}".rstrip()),
    )


def _not_text(value: Any, *path: str) -> Problem | None:
    if not isinstance(value, str):
        return _wrong_type(value, "string", *path)
    if value:
        return None
    return Problem(
        "catalog.envelope.empty",
        f"{pointer(*path)} must NOT have fewer than 1 characters - limit: 1",
        pointer(*path),
        '""',
        error_name="TypeError",
        remedy="Give it a value.",
    )


def _wrong_type(value: Any, expected: str, *path: str) -> Problem:
    quotable = expected == "string" and isinstance(value, int | float)
    return Problem(
        "catalog.envelope.type",
        f"{pointer(*path)} must be {expected} - type: {expected}, found {shorten(value)}",
        pointer(*path),
        shorten(value),
        error_name="TypeError",
        remedy="Put the value in quotes."
        if quotable
        else f"Write {'an' if expected == 'object' else 'a'} {expected} here.",
        fix=Fix("replace", shorten(shorten(value))) if quotable else None,
    )


def _type_name(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)
