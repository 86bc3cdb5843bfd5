"""How the API is described: who may call it, and shapes that are written down as JSON Schema."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from rest_framework import serializers


class TokenScheme(OpenApiAuthenticationExtension):
    """``Authorization: Bearer cb_...``"""

    target_class = "portal.access.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token from Settings or `manage.py token create`.",
        }


class SessionScheme(OpenApiAuthenticationExtension):
    """The session of the portal."""

    target_class = "portal.access.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "callboard_session"}


class Shape(serializers.BaseSerializer[Any]):
    """A named shape of the description; subclasses say it in ``described``. Nothing is serialized by it."""

    described: ClassVar[dict[str, Any]] = {}


class ShapeExtension(OpenApiSerializerExtension):
    """Puts ``described`` among the components, under the name of the class."""

    target_class = Shape
    match_subclasses = True

    def get_name(self, auto_schema: Any, direction: str) -> str:
        cls = self.target if isinstance(self.target, type) else type(self.target)
        return str(cls.__name__)

    def map_serializer(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        described: dict[str, Any] = self.target.described
        return described


ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error", "request", "response"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["name", "message"],
            "properties": {
                "name": {"type": "string", "example": "InputError"},
                "message": {"type": "string"},
                "code": {"type": "string", "description": "The rule, stable between releases."},
                "remedy": {"type": "string", "description": "What to do about it."},
                "requestId": {"type": "string"},
            },
            "additionalProperties": True,
        },
        "request": {
            "type": "object",
            "properties": {"method": {"type": "string"}, "url": {"type": "string"}},
        },
        "response": {"type": "object", "properties": {"statusCode": {"type": "integer"}}},
    },
}


class Error(Shape):
    """The error envelope."""

    described = ERROR
