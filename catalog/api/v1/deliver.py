"""``POST /api/catalog/v1/hooks/:id``: where Git hosts send their pushes. Public: the signature is the credential."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from catalog.models import HookDelivery
from catalog.services.hooks import hook_of, outcome_body, receive_delivery, refused
from portal.access.api.renderers import json_response
from portal.access.api.schema import Error
from portal.access.api.views import OwnView
from portal.core.errors import InputError, TooLargeError


class DeliveryTooLargeError(TooLargeError):
    """More than this installation takes."""

    status, default_code = 413, "catalog.hook.too-large"


def _headers(request: HttpRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _body(request: HttpRequest) -> bytes:
    """The body as it came, read only as far as it may be long."""
    limit = settings.CALLBOARD_HOOK_MAX_BYTES
    too_large = DeliveryTooLargeError(
        f"A delivery may have {limit} bytes.", remedy="The next scheduled reading sees what it was about."
    )
    said = request.META.get("CONTENT_LENGTH") or "0"
    if said.isascii() and said.isdigit() and int(said) > limit:
        raise too_large
    try:
        body = request.read(limit + 1)
    except OSError as error:  # the sender went away
        raise InputError("The body of the delivery ended early.", code="catalog.hook.cut") from error
    if len(body) > limit:
        raise too_large
    return body


class DeliverView(OwnView):
    """``/api/catalog/v1/hooks/:id``"""

    # Who sends has no account here, and the address of the endpoint is no secret.
    authentication_classes: ClassVar[tuple[()]] = ()  # type: ignore[misc]  # nobody signs in here
    permission_classes: ClassVar[tuple[()]] = ()  # type: ignore[misc]  # the same

    @extend_schema(
        operation_id="catalog_v1_hooks_deliver",
        auth=[],
        request={"application/json": {"type": "object", "additionalProperties": True}},
        responses={
            200: {
                "type": "object",
                "required": ["delivery", "verdict", "jobs"],
                "properties": {
                    "delivery": {"type": "integer"},
                    "verdict": {"type": "string", "enum": [*HookDelivery.Verdict.values, "duplicate"]},
                    "jobs": {"type": "array", "items": {"type": "string", "format": "uuid"}},
                },
            },
            202: {"type": "object"},
            400: {"type": "object"},
            401: Error,
            413: Error,
            503: Error,
        },
    )
    def post(self, request: Request, id: UUID) -> HttpResponse:
        hook = hook_of(id)
        if hook is None:
            raise refused()
        sent = request._request
        received = receive_delivery(hook=hook, headers=_headers(sent), body=_body(sent))
        verdict = HookDelivery.Verdict(received.delivery.verdict)
        if verdict == HookDelivery.Verdict.UNREADABLE:
            status = 400
        else:
            status = 202 if verdict == HookDelivery.Verdict.QUEUED and not received.duplicate else 200
        return json_response(outcome_body(received), status=status)
