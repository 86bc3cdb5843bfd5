"""One entity: by name, by uid, and where it comes from."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from catalog.actions import UNREGISTER
from catalog.api import schema
from catalog.api.stock import StockView, json_text, quoted
from catalog.query.ancestry import ancestry_of
from catalog.query.documents import text_of_ref, text_of_uid
from catalog.refs import canonical
from catalog.services.removals import remove_by_uid
from portal.access.api.parameters import Parameters
from portal.core.errors import NotFoundError


class EntityByNameView(StockView):
    """``GET /entities/by-name/:kind/:namespace/:name``, in any case."""

    @extend_schema(**schema.BY_NAME)
    def get(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponse:
        Parameters(request)
        text = text_of_ref(self.viewer, canonical(kind, namespace, name))
        if text is None:
            raise NotFoundError(f"No entity named {name!r} of kind {kind!r} in namespace {namespace!r}.")
        return json_text(text)


class AncestryView(StockView):
    """``GET /entities/by-name/.../ancestry``: the entity, then the Locations that led to it."""

    @extend_schema(**schema.ANCESTRY)
    def get(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponse:
        Parameters(request)
        ref = canonical(kind, namespace, name)
        items = ancestry_of(self.viewer, ref)
        if not items:
            raise NotFoundError(f"No such entity {ref}.")
        parts = (f'{{"entity":{item.text},"parentEntityRefs":{quoted(item.parents)}}}' for item in items)
        return json_text(f'{{"rootEntityRef":{quoted(ref)},"items":[', ",".join(parts), "]}")


class EntityByUidView(StockView):
    """``/entities/by-uid/:uid``"""

    actions_by_row: ClassVar[dict[str, str]] = {"DELETE": UNREGISTER}

    @extend_schema(**schema.BY_UID)
    def get(self, request: Request, uid: str) -> HttpResponse:
        Parameters(request)
        text = text_of_uid(self.viewer, uid)
        if text is None:
            raise NotFoundError(f"No entity with uid {uid}.")
        return json_text(text)

    @extend_schema(**schema.DELETE_BY_UID)
    def delete(self, request: Request, uid: str) -> HttpResponse:
        """204 in any case: stock tells nobody whether the uid was known."""
        Parameters(request)
        remove_by_uid(actor=self.viewer, uid=uid)
        response = HttpResponse(status=204)
        del response["Content-Type"]
        return response
