"""Shapes of the description and of answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from portal.access.api.schema import Shape
from portal.events.models import Delivery, Subscription
from portal.events.services.messages import message_id

_TIME = {"type": "string", "format": "date-time", "nullable": True}
_TEXTS = {"type": "array", "items": {"type": "string"}}
EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["id", "type", "subject", "data", "at"],
    "properties": {
        "id": {
            "type": "string",
            "description": "The same wherever this event appears; webhook-id of deliveries.",
        },
        "type": {"type": "string", "example": "catalog.entity.changed"},
        "subject": {"type": "string", "example": "component:default/shop"},
        "data": {"type": "object", "additionalProperties": True},
        "at": {"type": "string", "format": "date-time"},
    },
}
SUBSCRIPTION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "name": {"type": "string"},
        "url": {"type": "string"},
        "types": _TEXTS,
        "subjects": _TEXTS,
        "enabled": {"type": "boolean"},
        "reason": {"type": "string", "description": "Why it is off."},
        "createdBy": {"type": "string"},
        "createdAt": _TIME,
        "waiting": {"type": "integer", "description": "Events it has not looked at yet, matching or not."},
        "failures": {"type": "integer"},
        "failingSince": _TIME,
        "nextTryAt": _TIME,
        "lastOkAt": _TIME,
        "lastError": {"type": "string"},
        "previousSecretUntil": _TIME,
    },
}
SECRET: dict[str, Any] = {
    "type": "string",
    "description": "Signs deliveries. In the answers to creating and to rotating only.",
}
DELIVERY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "key": {"type": "integer"},
        "id": {"type": "string", "description": "webhook-id, and the id of the event in the feed."},
        "type": {"type": "string"},
        "subject": {"type": "string"},
        "state": {"type": "string", "enum": list(Delivery.State.values)},
        "attempts": {"type": "integer"},
        "status": {"type": "integer", "nullable": True},
        "error": {"type": "string"},
        "milliseconds": {"type": "integer"},
        "firstAt": _TIME,
        "lastAt": _TIME,
        "nextTryAt": _TIME,
    },
}


def _page(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": item},
            "nextCursor": {"type": "string", "nullable": True},
            "hasMore": {"type": "boolean"},
        },
    }


class EventPage(Shape):
    described = _page(EVENT)


class WebhookSubscription(Shape):
    described = SUBSCRIPTION


class WebhookSubscriptionWithSecret(Shape):
    described = {**SUBSCRIPTION, "properties": {**SUBSCRIPTION["properties"], "secret": SECRET}}


class WebhookSubscriptions(Shape):
    described = {
        "type": "object",
        "properties": {"items": {"type": "array", "items": SUBSCRIPTION}},
    }


class NewWebhookSubscription(Shape):
    described = {
        "type": "object",
        "required": ["name", "url"],
        "properties": {
            "name": {"type": "string"},
            "url": {"type": "string"},
            "types": _TEXTS,
            "subjects": _TEXTS,
            "start": {"type": "string", "enum": ["now", "oldest"], "default": "now"},
        },
    }


class WebhookSubscriptionChanges(Shape):
    described = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "url": {"type": "string"},
            "types": _TEXTS,
            "subjects": _TEXTS,
            "enabled": {"type": "boolean"},
            "start": {"type": "string", "enum": ["resume", "oldest", "now"], "default": "resume"},
        },
    }


class WebhookDeliveries(Shape):
    described = _page(DELIVERY)


class WebhookPing(Shape):
    described = {
        "type": "object",
        "properties": {
            "ok": {"type": "boolean"},
            "status": {"type": "integer", "nullable": True},
            "seconds": {"type": "number"},
            "problem": {"type": "string"},
            "remedy": {"type": "string"},
        },
    }


class WebhookRedelivered(Shape):
    described = {"type": "object", "properties": {"redelivered": {"type": "integer"}}}


def when(time: datetime | None) -> str | None:
    if time is None:
        return None
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def subscription_json(row: Subscription, newest: int) -> dict[str, Any]:
    """One subscription as the API has it; never with a secret."""
    return {
        "id": str(row.pk),
        "name": row.name,
        "url": row.url,
        "types": row.types,
        "subjects": row.subjects,
        "enabled": row.enabled,
        "reason": row.reason,
        "createdBy": row.created_by,
        "createdAt": when(row.created_at),
        "waiting": max(newest - row.position, 0),
        "failures": row.failures,
        "failingSince": when(row.failing_since),
        "nextTryAt": when(row.next_try_at),
        "lastOkAt": when(row.last_ok_at),
        "lastError": row.last_error,
        "previousSecretUntil": when(row.previous_until),
    }


def delivery_json(row: Delivery) -> dict[str, Any]:
    return {
        "key": row.pk,
        "id": message_id(row.message_id),
        "type": row.type,
        "subject": row.subject,
        "state": row.state,
        "attempts": row.attempts,
        "status": row.status,
        "error": row.error,
        "milliseconds": row.milliseconds,
        "firstAt": when(row.first_at),
        "lastAt": when(row.last_at),
        "nextTryAt": when(row.next_try_at),
    }
