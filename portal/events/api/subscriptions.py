"""Webhooks: subscriptions, their deliveries and dead letters."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from portal.access.api.bodies import checked_body
from portal.access.api.renderers import json_response
from portal.access.api.schema import Error
from portal.access.api.views import OwnView
from portal.access.viewer import CURATE, VIEW
from portal.core.errors import InputError, NotFoundError
from portal.core.paging import decode_cursor, encode_cursor, malformed_cursor
from portal.events.api import shapes
from portal.events.api.shapes import delivery_json, subscription_json
from portal.events.api.views import ERRORS, MOUNT
from portal.events.models import Delivery, Subscription
from portal.events.selectors import bounds, deliveries_of
from portal.events.services import (
    change_subscription,
    create_subscription,
    delete_subscription,
    drop,
    ping,
    redeliver,
    redeliver_all,
    rotate_secret,
    switch_off,
    switch_on,
)

TAGS = ["webhooks"]
MISSING: dict[Any, Any] = {404: OpenApiResponse(Error)}
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of an earlier answer; 412 where it is another now.",
)
PAGE, LARGEST_PAGE = 50, 500


class SubscriptionBase(OwnView):
    mount: ClassVar[str] = MOUNT
    actions_required: ClassVar[dict[str, str]] = {
        "GET": VIEW,
        "POST": CURATE,
        "PATCH": CURATE,
        "DELETE": CURATE,
    }

    def found(self, key: UUID) -> Subscription:
        """The subscription of the address.

        Raises:
            NotFoundError: there is none, for this viewer.
        """
        row = Subscription.objects.visible_to(self.viewer).filter(pk=key).first()
        if row is None:
            raise NotFoundError(f"There is no webhook {key}.", code="events.subscription.unknown")
        return row

    def delivery(self, key: UUID, number: int) -> Delivery:
        """A delivery of the subscription of the address."""
        row = deliveries_of(self.viewer, self.found(key)).filter(pk=number).first()
        if row is None:
            raise NotFoundError(f"There is no delivery {number}.", code="events.delivery.unknown")
        return row


def _answer(row: Subscription, *, status: int = 200, **more: Any) -> HttpResponse:
    answer = json_response({**subscription_json(row, bounds()[1]), **more}, status=status)
    answer["ETag"] = f'"{row.revision}"'
    if more:
        answer["Cache-Control"] = "no-store"
    return answer


def _revision(request: Request) -> int | None:
    """The revision in ``If-Match``; None where any will do."""
    text = request.headers.get("If-Match", "").strip()
    if text in ("", "*"):
        return None
    number = text.removeprefix("W/").strip('"')
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else -1


class SubscriptionsView(SubscriptionBase):
    @extend_schema(
        operation_id="GetWebhooks", tags=TAGS, responses={200: shapes.WebhookSubscriptions, **ERRORS}
    )
    def get(self, request: Request) -> HttpResponse:
        """All subscriptions, by name."""
        self.parameters()
        newest = bounds()[1]
        rows = Subscription.objects.visible_to(self.viewer).order_by("name")
        return json_response({"items": [subscription_json(row, newest) for row in rows]})

    @extend_schema(
        operation_id="CreateWebhook",
        tags=TAGS,
        request=shapes.NewWebhookSubscription,
        responses={201: shapes.WebhookSubscriptionWithSecret, 409: Error, **ERRORS},
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a subscription. The answer is the only one with its secret."""
        self.parameters()
        body = checked_body(
            request,
            required={"name": str, "url": str},
            optional={"types": list, "subjects": list, "start": str},
        )
        row, secret = create_subscription(actor=self.viewer, **body)
        return _answer(row, status=201, secret=secret)


class SubscriptionView(SubscriptionBase):
    @extend_schema(
        operation_id="GetWebhook", tags=TAGS, responses={200: shapes.WebhookSubscription, **ERRORS, **MISSING}
    )
    def get(self, request: Request, key: UUID) -> HttpResponse:
        """One subscription, with an ETag that changes when a person changes it."""
        self.parameters()
        return _answer(self.found(key))

    @extend_schema(
        operation_id="ChangeWebhook",
        tags=TAGS,
        parameters=[IF_MATCH],
        request=shapes.WebhookSubscriptionChanges,
        responses={200: shapes.WebhookSubscription, 409: Error, 412: Error, **ERRORS, **MISSING},
    )
    def patch(self, request: Request, key: UUID) -> HttpResponse:
        """Change it, or switch it on and off. `start` says where it goes on when it is switched on."""
        self.parameters()
        row = self.found(key)
        body = checked_body(
            request,
            optional={
                "name": str,
                "url": str,
                "types": list,
                "subjects": list,
                "enabled": bool,
                "start": str,
            },
        )
        enabled, start = body.pop("enabled", None), body.pop("start", None)
        if start is not None and not enabled:
            raise InputError(
                "start goes with enabled: true.", code="events.subscription.start", remedy="Send both."
            )
        row = change_subscription(
            actor=self.viewer, subscription=row, changes=body, revision=_revision(request)
        )
        if enabled is False:
            row = switch_off(actor=self.viewer, subscription=row)
        elif enabled:
            row = switch_on(actor=self.viewer, subscription=row, start=start or "resume")
        return _answer(row)

    @extend_schema(
        operation_id="DeleteWebhook",
        tags=TAGS,
        parameters=[IF_MATCH],
        responses={204: None, 412: Error, **ERRORS, **MISSING},
    )
    def delete(self, request: Request, key: UUID) -> HttpResponse:
        """Remove it with its deliveries and dead letters."""
        self.parameters()
        delete_subscription(actor=self.viewer, subscription=self.found(key), revision=_revision(request))
        return HttpResponse(status=204)


class PingView(SubscriptionBase):
    @extend_schema(
        operation_id="PingWebhook",
        tags=TAGS,
        request=None,
        responses={200: shapes.WebhookPing, **ERRORS, **MISSING},
    )
    def post(self, request: Request, key: UUID) -> HttpResponse:
        """Send `callboard.ping` now and say what came back. Waits up to 10 s."""
        self.parameters()
        outcome = ping(actor=self.viewer, subscription=self.found(key))
        return json_response(
            {
                "ok": outcome.ok,
                "status": outcome.status,
                "seconds": round(outcome.seconds, 3),
                "problem": outcome.problem,
                "remedy": outcome.remedy,
            }
        )


class SecretView(SubscriptionBase):
    @extend_schema(
        operation_id="RotateWebhookSecret",
        tags=TAGS,
        request=None,
        responses={200: shapes.WebhookSubscriptionWithSecret, **ERRORS, **MISSING},
    )
    def post(self, request: Request, key: UUID) -> HttpResponse:
        """A new secret; the one before it signs as well for a day."""
        self.parameters()
        row, secret = rotate_secret(actor=self.viewer, subscription=self.found(key))
        return _answer(row, secret=secret)


class DeliveriesView(SubscriptionBase):
    @extend_schema(
        operation_id="GetWebhookDeliveries",
        tags=TAGS,
        parameters=[
            OpenApiParameter("state", str, enum=list(Delivery.State.values)),
            OpenApiParameter("limit", int, description="1 to 500; 50 without."),
            OpenApiParameter("cursor", str),
        ],
        responses={200: shapes.WebhookDeliveries, **ERRORS, **MISSING},
    )
    def get(self, request: Request, key: UUID) -> HttpResponse:
        """Deliveries, newest first; `state=dead` lists the dead letters."""
        parameters = self.parameters("state", "limit", "cursor")
        rows = deliveries_of(self.viewer, self.found(key))
        if (state := parameters.one("state")) is not None:
            if state not in Delivery.State.values:
                raise InputError(
                    f"{state[:40]!r} is no state of a delivery.",
                    code="events.delivery.state",
                    remedy=f"States are {', '.join(Delivery.State.values)}.",
                )
            rows = rows.filter(state=state)
        limit = parameters.number("limit", least=1) or PAGE
        if limit > LARGEST_PAGE:
            raise InputError(f"A page has at most {LARGEST_PAGE} deliveries.", code="events.limit")
        if (cursor := parameters.one("cursor")) is not None:
            before = decode_cursor(cursor)
            if not isinstance(before, int):
                raise malformed_cursor()
            rows = rows.filter(pk__lt=before)
        found = list(rows[: limit + 1])
        more = len(found) > limit
        found = found[:limit]
        return json_response(
            {
                "items": [delivery_json(row) for row in found],
                "nextCursor": encode_cursor(found[-1].pk) if more else None,
                "hasMore": more,
            }
        )


class RedeliverAllView(SubscriptionBase):
    @extend_schema(
        operation_id="RedeliverWebhookDeadLetters",
        tags=TAGS,
        request=None,
        responses={202: shapes.WebhookRedelivered, **ERRORS, **MISSING},
    )
    def post(self, request: Request, key: UUID) -> HttpResponse:
        """Send all dead letters again, in their order."""
        self.parameters()
        count = redeliver_all(actor=self.viewer, subscription=self.found(key))
        return json_response({"redelivered": count}, status=202)


class RedeliverView(SubscriptionBase):
    @extend_schema(
        operation_id="RedeliverWebhookDeadLetter",
        tags=TAGS,
        request=None,
        responses={202: shapes.WebhookRedelivered, 409: Error, **ERRORS, **MISSING},
    )
    def post(self, request: Request, key: UUID, number: int) -> HttpResponse:
        """Send one dead letter again."""
        self.parameters()
        redeliver(actor=self.viewer, delivery=self.delivery(key, number))
        return json_response({"redelivered": 1}, status=202)


class DeliveryView(SubscriptionBase):
    @extend_schema(
        operation_id="DropWebhookDeadLetter",
        tags=TAGS,
        responses={204: None, 409: Error, **ERRORS, **MISSING},
    )
    def delete(self, request: Request, key: UUID, number: int) -> HttpResponse:
        """Give one dead letter up for good."""
        self.parameters()
        drop(actor=self.viewer, delivery=self.delivery(key, number))
        return HttpResponse(status=204)
