"""JSON Schema: the structure that all entities share, and the schema of their kind.

Violations come in the order in which stock's validator (Ajv) meets them, so that the first is the one stock reports,
and in its words as far as clients may know them: the place, what it must be, and the parameters.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from catalog.ingest.problems import Fix, Problem, pointer, shorten, yaml_text
from catalog.kinds import compile_schema

_TEXT: dict[str, Any] = {"type": "string"}
_FILLED: dict[str, Any] = {"type": "string", "minLength": 1}
_TEXTS: dict[str, Any] = {"type": "object", "additionalProperties": _TEXT}

STRUCTURE: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["apiVersion", "kind", "metadata"],
    "additionalProperties": False,
    "properties": {
        "apiVersion": _FILLED,
        "kind": _FILLED,
        "metadata": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "uid": _FILLED,
                "etag": _FILLED,
                "name": _FILLED,
                "namespace": _FILLED,
                "title": _FILLED,
                "description": _TEXT,
                "labels": _TEXTS,
                "annotations": _TEXTS,
                "tags": {"type": "array", "items": _FILLED},
                "links": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["url"],
                        "properties": {"url": _FILLED, "title": _FILLED, "icon": _FILLED, "type": _FILLED},
                    },
                },
            },
        },
        "spec": {"type": "object"},
        "relations": {"type": "array"},
        "status": {"type": "object"},
    },
}
_STRUCTURE_VALIDATOR = compile_schema(STRUCTURE)

# Ajv's order of keywords: those for numbers, texts, any value, lists, objects; "type" before all.
_KEYWORDS = (
    *("type", "maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf"),
    *("maxLength", "minLength", "pattern", "format"),
    *("$ref", "const", "enum", "not", "anyOf", "oneOf", "allOf", "if"),
    *("maxItems", "minItems", "uniqueItems", "additionalItems", "items", "contains"),
    *("maxProperties", "minProperties", "required", "propertyNames", "additionalProperties", "dependencies"),
    *("properties", "patternProperties"),
)
_RANK = {keyword: rank for rank, keyword in enumerate(_KEYWORDS)}


def check_structure(entity: dict[str, Any]) -> list[Problem]:
    """What does not fit the structure of every entity: unknown root fields, types in ``metadata``."""
    if _STRUCTURE_VALIDATOR.is_valid(entity):
        return []
    return _problems(entity, STRUCTURE, _STRUCTURE_VALIDATOR, "catalog.structure", "Malformed envelope, ")


def check_kind_schema(entity: dict[str, Any], schema: Mapping[str, Any], validator: Any) -> list[Problem]:
    """What does not fit the schema of the kind.

    Args:
        schema, validator: of :meth:`KindVersion.schema_for`.
    """
    if validator.is_valid(entity):
        return []
    return _problems(entity, schema, validator, "catalog.schema", "")


def _problems(
    entity: dict[str, Any], schema: Mapping[str, Any], validator: Any, rules: str, prefix: str
) -> list[Problem]:
    errors = sorted(validator.iter_errors(entity), key=lambda error: _rank(error, schema))
    return [problem for error in errors for problem in _describe(error, schema, rules, prefix)]


def _rank(error: Any, schema: Any) -> list[tuple[int, int, str]]:
    """Where Ajv would meet the error: keyword by keyword from the root, then by position."""
    ranks: list[tuple[int, int, str]] = []
    steps = list(error.schema_path)
    instance = list(error.instance_path)
    node: Any = schema
    position = 0
    while position < len(steps):
        step = steps[position]
        position += 1
        ranks.append((_RANK.get(str(step), len(_RANK)), 0, ""))
        node = node.get(step) if isinstance(node, Mapping) else None
        if step in ("properties", "patternProperties", "allOf", "anyOf", "oneOf") and position < len(steps):
            name = steps[position]
            position += 1
            ranks.append(
                (list(node).index(name) if isinstance(node, Mapping) and name in node else 0, 0, str(name))
            )
            node = (
                node.get(name)
                if isinstance(node, Mapping)
                else (node[name] if isinstance(node, list) else None)
            )
            if step in ("properties", "patternProperties") and instance:
                instance.pop(0)
        elif step in ("items", "additionalProperties") and instance and position < len(steps):
            at = instance.pop(0)
            ranks.append((at, 0, "") if isinstance(at, int) else (0, 0, str(at)))
        elif step == "required" and isinstance(node, Sequence):
            missing = getattr(error.kind, "property", None)
            ranks.append((node.index(missing) if missing in node else len(node), 0, ""))
    return ranks


def _describe(error: Any, schema: Mapping[str, Any], rules: str, prefix: str) -> Iterable[Problem]:
    kind, keyword = error.kind, str(error.kind.name)
    path = list(error.instance_path)
    place = pointer(*path) or "<root>"
    at = _schema_at(schema, list(error.schema_path)[:-1])
    found = shorten(error.instance)
    parameters = ""
    remedy, fix = "Repair the value.", None
    if keyword == "required":
        name = kind.property
        text, parameters = f"must have required property '{name}'", f"missingProperty: {name}"
        remedy, fix = f"Add {name}.", Fix("add", _example_line(name, at))
        found = ""
    elif keyword == "type":
        wanted = at.get("type") or kind.types
        types = wanted if isinstance(wanted, str) else ",".join(wanted)
        text, parameters = f"must be {types}", f"type: {types}"
        remedy, fix = _repair_type(error.instance, types)
    elif keyword in ("minLength", "maxLength", "minItems", "maxItems"):
        what = "characters" if keyword.endswith("Length") else "items"
        text = f"must NOT have {'fewer' if keyword.startswith('min') else 'more'} than {kind.limit} {what}"
        parameters = f"limit: {kind.limit}"
        empty = keyword.startswith("min") and kind.limit == 1
        remedy = "Give it a value, or remove the line." if empty else f"Keep to {kind.limit} {what}."
    elif keyword == "enum":
        allowed = list(at.get("enum") or kind.options)
        text, parameters = (
            "must be equal to one of the allowed values",
            f"allowedValues: {','.join(map(str, allowed))}",
        )
        near = difflib.get_close_matches(str(error.instance), map(str, allowed), 1)
        remedy = f"Write one of {', '.join(map(str, allowed))}."
        fix = Fix("replace", yaml_text(near[0])) if near else None
    elif keyword == "additionalProperties":
        for name in kind.unexpected:
            known = list(at.get("properties", {}))
            yield Problem(
                f"{rules}.unknown-field",
                f"{prefix}{place} must NOT have additional properties - additionalProperty: {name}",
                pointer(*path, name),
                shorten(name),
                remedy=f"Remove {name}, or move it into {'spec' if not path else 'a field that is known'}"
                f"; known here: {', '.join(known)}.",
                at_key=True,
            )
        return
    elif keyword in ("anyOf", "oneOf") and getattr(kind, "context", None) and kind.context[0]:
        # Ajv reports the first branch first.
        yield from _describe(kind.context[0][0], schema, rules, prefix)
        return
    else:
        text = str(error.message)
    yield Problem(
        f"{rules}.{keyword}",
        f"{prefix}{place} {text}{f' - {parameters}' if parameters else ''}{f', found {found}' if found else ''}",
        pointer(*path),
        found,
        remedy=remedy,
        fix=fix,
    )


def _schema_at(schema: Mapping[str, Any], steps: list[Any]) -> Mapping[str, Any]:
    """The part of a schema that a path of keywords leads to; empty behind a ``$ref``."""
    node: Any = schema
    for step in steps:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return {}
    return node if isinstance(node, Mapping) else {}


def _repair_type(value: Any, wanted: str) -> tuple[str, Fix | None]:
    if value is None:
        return "Give it a value, or remove the line.", None
    if wanted == "string" and isinstance(value, bool | int | float):
        return "Put the value in quotes.", Fix("replace", shorten(shorten(value)))
    if (
        wanted == "string"
        and isinstance(value, dict)
        and len(value) == 1
        and next(iter(value)).startswith("{")
    ):
        return "Put the expression in quotes: without them YAML reads {{ }} as a mapping.", None
    if wanted == "array" and isinstance(value, str):
        return "Write a list.", Fix("replace", f"[{yaml_text(value)}]")
    words = {"string": "a text", "array": "a list", "object": "key: value lines", "boolean": "true or false"}
    return (
        f"Write {' or '.join(words.get(one, f'a value of type {one}') for one in wanted.split(','))}.",
        None,
    )


def _example_line(name: str, schema: Mapping[str, Any]) -> str:
    properties = schema.get("properties", {})
    wanted = properties.get(name, {}) if isinstance(properties, Mapping) else {}
    if not isinstance(wanted, Mapping):
        return f"{name}:"
    if wanted.get("type") == "array":
        return f"{name}: []"
    for choices in ("examples", "enum"):
        if isinstance(wanted.get(choices), list) and wanted[choices]:
            return f"{name}: {yaml_text(str(wanted[choices][0]))}"
    return f"{name}:"
