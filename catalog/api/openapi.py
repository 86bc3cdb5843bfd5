"""``GET /openapi.json``: these paths described by themselves."""

from __future__ import annotations

from functools import cache

import orjson
from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from rest_framework.request import Request

from catalog.api.stock import MOUNT, StockView, json_bytes
from portal.access.api.parameters import Parameters


class OpenAPIView(StockView):
    """The description of stock's paths, for clients that look for it there."""

    schema = None

    def get(self, request: Request) -> HttpResponse:
        Parameters(request)
        return json_bytes(_description())


@cache
def _description() -> bytes:
    described = SchemaGenerator(urlconf="catalog.api.urls").get_schema(request=None, public=True)
    return orjson.dumps({**described, "servers": [{"url": MOUNT}]}, default=str)
