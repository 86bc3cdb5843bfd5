"""JSON out, by orjson."""

from __future__ import annotations

from typing import Any

import orjson
from django.http import HttpResponse
from rest_framework.renderers import BaseRenderer

CONTENT_TYPE = "application/json; charset=utf-8"


def json_response(value: object, *, status: int = 200) -> HttpResponse:
    """An answer whose body is ``value`` as compact JSON."""
    return HttpResponse(orjson.dumps(value), status=status, content_type=CONTENT_TYPE)


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        return b"" if data is None else orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS)
