"""Webhooks over REST: endpoints, their secrets, deliveries, replays. For staff."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from catalog.models import Hook, HookDelivery, Source
from catalog.presenters.hook import hook_address
from catalog.selectors import source_named
from catalog.services.hooks import (
    create_hook,
    delete_hook,
    replay_delivery,
    rotate_secret,
    sources_named_by,
    update_hook,
)
from portal.access.api.bodies import checked_body
from portal.access.api.renderers import json_response
from portal.access.api.schema import Error, Shape
from portal.access.api.views import OwnView
from portal.access.viewer import CURATE, VIEW, Viewer
from portal.core.errors import InputError, NotFoundError
from portal.core.paging import decode_cursor, encode_cursor, malformed_cursor

PAGE, MOST = 50, 200
ERRORS = {400: Error, 401: Error, 403: Error, 404: Error, 409: Error}
_TEXT: dict[str, str] = {"type": "string"}
_TIME: dict[str, Any] = {"type": "string", "format": "date-time", "nullable": True}


class HookShape(Shape):
    """An endpoint for deliveries. ``secret`` is there once: in the answer to making it or changing its secret."""

    described: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["id", "name", "provider", "enabled", "url", "sources"],
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "name": _TEXT,
            "provider": {"type": "string", "enum": Hook.Provider.values},
            "enabled": {"type": "boolean"},
            "url": {"type": "string", "description": "The address to give to the host."},
            "sources": {
                "type": "array",
                "items": _TEXT,
                "description": "Empty where all that match are read.",
            },
            "limited": {"type": "boolean"},
            "secretRef": _TEXT,
            "previousUntil": _TIME,
            "createdAt": _TIME,
            "lastDeliveryAt": _TIME,
            "refusedAt": _TIME,
            "secret": {"type": "string", "description": "Shown once."},
        },
    }


class HookRequest(Shape):
    """A new endpoint."""

    described: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["name", "provider"],
        "properties": {
            "name": _TEXT,
            "provider": {"type": "string", "enum": Hook.Provider.values},
            "sources": {
                "type": "array",
                "items": _TEXT,
                "description": "Names or ids; none: all that match.",
            },
            "secretRef": {"type": "string", "example": "env:GITHUB_HOOK_SECRET"},
            "secret": {"type": "string", "description": "One that the host made; else a random one."},
            "enabled": {"type": "boolean"},
        },
    }


class DeliveryShape(Shape):
    """A delivery, or a replay of one."""

    described: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["id", "hook", "deliveryId", "verdict", "message", "targets"],
        "properties": {
            "id": {"type": "integer"},
            "hook": {"type": "string", "format": "uuid"},
            "deliveryId": _TEXT,
            "attempt": {"type": "integer"},
            "actor": _TEXT,
            "event": _TEXT,
            "receivedAt": _TIME,
            "verdict": {"type": "string", "enum": HookDelivery.Verdict.values},
            "message": _TEXT,
            "repository": _TEXT,
            "branch": _TEXT,
            "commit": _TEXT,
            "duplicates": {"type": "integer"},
            "targets": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"source": _TEXT, "name": _TEXT, "job": _TEXT},
                },
            },
        },
    }


def _page_of(shape: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["items", "pageInfo"],
        "properties": {
            "items": {"type": "array", "items": {"$ref": f"#/components/schemas/{shape}"}},
            "pageInfo": {"type": "object", "properties": {"nextCursor": _TEXT}},
        },
    }


class HookPage(Shape):
    """Endpoints by name."""

    described: ClassVar[dict[str, Any]] = _page_of("HookShape")


class DeliveryPage(Shape):
    """Deliveries, newest first."""

    described: ClassVar[dict[str, Any]] = _page_of("DeliveryShape")


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat().replace("+00:00", "Z")


def _hook_body(hook: Hook, *, secret: str = "") -> dict[str, Any]:
    body = {
        "id": str(hook.pk),
        "name": hook.name,
        "provider": hook.provider,
        "enabled": hook.enabled,
        "url": hook_address(hook),
        "limited": hook.limited,
        "sources": [source.name for source in sources_named_by(hook)] if hook.limited else [],
        "secretRef": hook.secret_ref,
        "previousUntil": _time(hook.previous_until),
        "createdAt": _time(hook.created_at),
        "lastDeliveryAt": _time(hook.last_delivery_at),
        "refusedAt": _time(hook.refused_at),
    }
    return body | ({"secret": secret} if secret else {})


def _delivery_body(delivery: HookDelivery) -> dict[str, Any]:
    return {
        "id": delivery.pk,
        "hook": str(delivery.hook_id),
        "deliveryId": delivery.delivery_id,
        "attempt": delivery.attempt,
        "actor": delivery.actor,
        "event": delivery.event,
        "receivedAt": _time(delivery.received_at),
        "verdict": delivery.verdict,
        "message": delivery.message,
        "repository": delivery.repository,
        "branch": delivery.branch,
        "commit": delivery.commit,
        "duplicates": delivery.duplicates,
        "targets": delivery.targets,
    }


def _hook(viewer: Viewer, id: UUID, action: str = VIEW) -> Hook:
    hook = Hook.objects.visible_to(viewer, action).filter(pk=id).first()
    if hook is None:
        raise NotFoundError(f"There is no webhook {id}.", code="catalog.hook.not-found")
    return hook


def _sources(viewer: Viewer, names: list[Any]) -> list[Source]:
    if len(names) > 1_000 or not all(isinstance(name, str) for name in names):
        raise InputError("sources has to be a list of at most 1000 names.", code="catalog.hook.sources")
    return list({source.pk: source for source in (source_named(viewer, name) for name in names)}.values())


def _secret_answer(hook: Hook, secret: str, status: int) -> HttpResponse:
    answer = json_response(_hook_body(hook, secret=secret), status=status)
    answer["Cache-Control"] = "no-store"
    return answer


class _StaffView(OwnView):
    """Webhooks are for staff: in reading as well."""

    actions_required: ClassVar[dict[str, str]] = {
        "GET": CURATE, "POST": CURATE, "PATCH": CURATE, "DELETE": CURATE,
    }  # fmt: skip


class HooksView(_StaffView):
    """``/api/catalog/v1/inbound-hooks``"""

    @extend_schema(
        operation_id="catalog_v1_hooks_list",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor", str)],
        responses={200: HookPage, **ERRORS},
    )
    def get(self, request: Request) -> HttpResponse:
        asked = self.parameters("limit", "cursor")
        limit = min(asked.number("limit", least=1) or PAGE, MOST)
        rows = Hook.objects.visible_to(self.viewer).order_by("name")
        if cursor := asked.one("cursor"):
            after = decode_cursor(cursor)
            if not isinstance(after, str):
                raise malformed_cursor()
            rows = rows.filter(name__gt=after)
        found = list(rows[: limit + 1])
        page = {"nextCursor": encode_cursor(found[limit - 1].name)} if len(found) > limit else {}
        return json_response({"items": [_hook_body(hook) for hook in found[:limit]], "pageInfo": page})

    @extend_schema(
        operation_id="catalog_v1_hooks_create", request=HookRequest, responses={201: HookShape, **ERRORS}
    )
    def post(self, request: Request) -> HttpResponse:
        self.parameters()
        body = checked_body(
            request,
            required={"name": str, "provider": str},
            optional={"sources": list, "secretRef": str, "secret": str, "enabled": bool},
        )
        made = create_hook(
            actor=self.viewer,
            name=body["name"],
            provider=body["provider"],
            sources=_sources(self.viewer, body.get("sources", [])),
            secret_ref=body.get("secretRef", ""),
            secret=body.get("secret", ""),
            enabled=body.get("enabled", True),
        )
        answer = _secret_answer(made.hook, made.secret, 201)
        answer["Location"] = reverse("catalog-v1:hook", args=[made.hook.pk])
        return answer


class HookView(_StaffView):
    """``/api/catalog/v1/inbound-hooks/:id``"""

    @extend_schema(operation_id="catalog_v1_hooks_read", responses={200: HookShape, **ERRORS})
    def get(self, request: Request, id: UUID) -> HttpResponse:
        self.parameters()
        return json_response(_hook_body(_hook(self.viewer, id)))

    @extend_schema(
        operation_id="catalog_v1_hooks_update",
        request={
            "application/json": {
                "type": "object",
                "properties": {
                    "name": _TEXT,
                    "enabled": {"type": "boolean"},
                    "sources": {"type": "array", "items": _TEXT},
                },
            }
        },
        responses={200: HookShape, **ERRORS},
    )
    def patch(self, request: Request, id: UUID) -> HttpResponse:
        self.parameters()
        hook = _hook(self.viewer, id, CURATE)
        changes = checked_body(request, optional={"name": str, "enabled": bool, "sources": list})
        if "sources" in changes:
            changes["sources"] = _sources(self.viewer, changes["sources"])
        return json_response(_hook_body(update_hook(actor=self.viewer, hook=hook, changes=changes)))

    @extend_schema(operation_id="catalog_v1_hooks_delete", responses={204: None, **ERRORS})
    def delete(self, request: Request, id: UUID) -> HttpResponse:
        self.parameters()
        delete_hook(actor=self.viewer, hook=_hook(self.viewer, id, CURATE))
        return HttpResponse(status=204)


class HookSecretView(_StaffView):
    """``/api/catalog/v1/inbound-hooks/:id/secret``"""

    @extend_schema(
        operation_id="catalog_v1_hooks_rotate",
        request={
            "application/json": {
                "type": "object",
                "properties": {
                    "secretRef": _TEXT,
                    "secret": _TEXT,
                    "overlapHours": {"type": "integer", "description": "How long the former one counts; 24."},
                },
            }
        },
        responses={200: HookShape, **ERRORS},
    )
    def post(self, request: Request, id: UUID) -> HttpResponse:
        self.parameters()
        hook = _hook(self.viewer, id, CURATE)
        body = checked_body(request, optional={"secretRef": str, "secret": str, "overlapHours": int})
        hours = body.get("overlapHours", 24)
        made = rotate_secret(
            actor=self.viewer,
            hook=hook,
            secret_ref=body.get("secretRef", ""),
            secret=body.get("secret", ""),
            overlap=timedelta(hours=max(min(hours, 10_000), -1)),
        )
        return _secret_answer(made.hook, made.secret, 200)


class DeliveriesView(_StaffView):
    """``/api/catalog/v1/inbound-hooks/:id/deliveries``"""

    @extend_schema(
        operation_id="catalog_v1_hooks_deliveries",
        parameters=[
            OpenApiParameter("verdict", str, enum=HookDelivery.Verdict.values, many=True),
            OpenApiParameter("repository", str, description="Part of its name."),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor", str),
        ],
        responses={200: DeliveryPage, **ERRORS},
    )
    def get(self, request: Request, id: UUID) -> HttpResponse:
        asked = self.parameters("verdict", "repository", "limit", "cursor")
        rows = HookDelivery.objects.visible_to(self.viewer).filter(hook=_hook(self.viewer, id)).defer("body")
        if verdicts := asked.many("verdict"):
            if wrong := sorted(set(verdicts) - set(HookDelivery.Verdict.values)):
                raise InputError(
                    f"{wrong[0][:40]!r} is no verdict.",
                    code="catalog.hook.verdict",
                    remedy=f"Use {', '.join(HookDelivery.Verdict.values)}.",
                )
            rows = rows.filter(verdict__in=verdicts)
        if text := asked.one("repository"):
            rows = rows.filter(repository__icontains=text)
        if cursor := asked.one("cursor"):
            before = decode_cursor(cursor)
            if type(before) is not int:
                raise malformed_cursor()
            rows = rows.filter(pk__lt=before)
        limit = min(asked.number("limit", least=1) or PAGE, MOST)
        found = list(rows.order_by("-pk")[: limit + 1])
        page = {"nextCursor": encode_cursor(found[limit - 1].pk)} if len(found) > limit else {}
        return json_response({"items": [_delivery_body(row) for row in found[:limit]], "pageInfo": page})


class ReplayView(_StaffView):
    """``/api/catalog/v1/hook-deliveries/:id/replay``"""

    @extend_schema(
        operation_id="catalog_v1_hooks_replay", request=None, responses={201: DeliveryShape, **ERRORS}
    )
    def post(self, request: Request, id: int) -> HttpResponse:
        self.parameters()
        delivery = HookDelivery.objects.visible_to(self.viewer, CURATE).defer("body").filter(pk=id).first()
        if delivery is None:
            raise NotFoundError(f"There is no delivery {id}.", code="catalog.hook.delivery")
        return json_response(
            _delivery_body(replay_delivery(actor=self.viewer, delivery=delivery)), status=201
        )
