"""``Idempotency-Key`` on POSTs that create or trigger something."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any

import orjson
from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from portal.access.api.renderers import CONTENT_TYPE
from portal.access.api.views import OwnView
from portal.access.services.idempotency import KeptAnswer, begin_request, give_up_request, keep_answer

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
#: For ``extend_schema(parameters=...)``.
PARAMETER = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    description="Sent again with the same body within 24 hours, the first answer comes back and nothing is done twice.",
)
_KEPT_HEADERS = ("Location", "ETag")
Post = Callable[..., HttpResponse]


def idempotent(method: Post) -> Post:
    """Decorator for the ``post`` of an :class:`OwnView`: does the work once for each ``Idempotency-Key`` of a caller.

    The method runs in one transaction with its kept answer. An error keeps nothing and frees the key.
    """

    @wraps(method)
    def answer(self: OwnView, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        key = request.headers.get(HEADER, "")
        if not key:
            return method(self, request, *args, **kwargs)
        claim = begin_request(actor=self.viewer, key=key, digest=_digest(request))
        if isinstance(claim, KeptAnswer):
            return _again(claim)
        try:
            with transaction.atomic():
                response = method(self, request, *args, **kwargs)
                headers = {name: response[name] for name in _KEPT_HEADERS if name in response}
                keep_answer(
                    claim=claim, answer=KeptAnswer(response.status_code, response.content.decode(), headers)
                )
        except BaseException:
            give_up_request(claim=claim)
            raise
        return response

    return answer


def _digest(request: Request) -> str:
    sent = orjson.dumps([request.method, request.get_full_path(), request.data], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(sent).hexdigest()


def _again(kept: KeptAnswer) -> HttpResponse:
    response = HttpResponse(kept.body.encode(), status=kept.status, content_type=CONTENT_TYPE)
    for name, value in kept.headers.items():
        response[name] = value
    response[REPLAYED] = "true"
    return response
