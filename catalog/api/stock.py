"""What all views on stock's paths have in common (catalog API, common rules)."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson
from django.http import HttpResponse
from rest_framework.request import Request

from portal.access.api.parsers import JSONParser
from portal.access.api.renderers import CONTENT_TYPE
from portal.access.api.views import APIBase

MOUNT = "/api/catalog"


class StockView(APIBase):
    """Signed-in only, whatever the client says it accepts; an unknown method is answered like an unknown path."""

    mount: ClassVar[str] = MOUNT
    http_method_names = ["get", "head", "post", "put", "delete"]
    parser_classes = (JSONParser,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # Stock looks at no Accept header and has no versions in its addresses, so there is nothing to negotiate.
        self.format_kwarg = None
        self.perform_authentication(request)
        self.check_permissions(request)

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}

    def http_method_not_allowed(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]  # DRF raises
        return nothing_here()


class UnknownPath(StockView):
    """Any path that nobody answers: 401 without a token, else 404 without a body."""

    schema = None


def nothing_here() -> HttpResponse:
    """404 for a path or method that does not exist: no body and no content type."""
    response = HttpResponse(status=404)
    del response["Content-Type"]
    return response


def json_text(*parts: str) -> HttpResponse:
    """An answer of JSON text that is put together from finished pieces."""
    return HttpResponse("".join(parts).encode(), content_type=CONTENT_TYPE)


def json_bytes(body: bytes) -> HttpResponse:
    return HttpResponse(body, content_type=CONTENT_TYPE)


def quoted(value: object) -> str:
    """A value as JSON text."""
    return orjson.dumps(value).decode()
