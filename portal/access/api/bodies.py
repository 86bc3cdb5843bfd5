"""Checking the JSON object that was sent, with the verdicts of stock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.request import Request

from portal.core.errors import InputError

NAMES = {str: "string", int: "integer", dict: "object", list: "array", bool: "boolean"}


def refuse_unknown_parameters(request: Request, known: Iterable[str]) -> None:
    """Raises InputError for a query parameter that the operation does not have."""
    allowed = set(known)
    for name in request.query_params:
        if name not in allowed:
            raise InputError(f"Unknown query parameter '{name}'", code="api.parameter.unknown")


def checked_body(
    request: Request,
    *,
    required: Mapping[str, type] | None = None,
    optional: Mapping[str, type] | None = None,
    extra: bool = False,
) -> dict[str, Any]:
    """The JSON object that was sent.

    Args:
        required, optional: keys and their types.
        extra: whether further keys are ignored; otherwise they are an error.

    Raises:
        InputError: no JSON object, a missing key, a wrong type, a key too many.
    """
    try:
        body = request.data
    except (ParseError, UnsupportedMediaType) as error:
        raise InputError(f"The body is not JSON: {error.detail}", code="api.body.json") from error
    if not isinstance(body, dict):
        raise InputError("request/body must be object", code="api.body.type")
    wanted = {**(required or {}), **(optional or {})}
    for name in required or {}:
        if name not in body:
            raise InputError(f"request/body must have required property '{name}'", code="api.body.missing")
    for name, value in body.items():
        kind = wanted.get(name)
        if kind is None:
            if extra:
                continue
            raise InputError(
                f"request/body must NOT have additional properties, found '{name}'", code="api.body.extra"
            )
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise InputError(f"request/body/{name} must be {NAMES[kind]}", code="api.body.type")
        if isinstance(value, str) and "\0" in value:
            raise InputError(f"request/body/{name} has a NUL character in it", code="api.body.nul")
    return dict(body)
