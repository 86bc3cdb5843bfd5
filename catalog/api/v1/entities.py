"""One entity by reference: read with its etag, written, patched, deleted, renamed, restored."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from catalog.api.v1.parsers import MergePatchParser
from catalog.api.v1.schema import writing as schema
from catalog.models import Entity, Tombstone
from catalog.query.dictionary import is_storable
from catalog.refs import EntityRef
from catalog.services.managed import (
    Precondition,
    Written,
    delete_entity,
    patch_entity,
    put_entity,
    rename_entity,
    restore_revision,
)
from catalog.services.managed.documents import address_of
from catalog.services.managed.preconditions import is_known
from catalog.services.managed.writing import problem_body
from catalog.services.removals import restore_entity
from portal.access.api.bodies import checked_body
from portal.access.api.idempotency import idempotent
from portal.access.api.parsers import JSONParser
from portal.access.api.renderers import CONTENT_TYPE, json_response
from portal.access.api.views import OwnView
from portal.access.viewer import CURATE
from portal.core.errors import InputError, NotFoundError, TooLargeError


class EntityWriting(OwnView):
    """What the operations on one entity have in common."""

    def reference(self, kind: str, namespace: str, name: str) -> EntityRef:
        """The reference in the address.

        Raises:
            NotFoundError: no entity can ever be called that.
        """
        ref = EntityRef(kind, namespace, name)
        if not is_storable(ref.canonical):
            raise NotFoundError(f"Entity not found: {ref.canonical!r}")
        return ref

    def condition(self) -> Precondition:
        headers = self.request.headers
        return Precondition.of_headers(headers.get("If-Match"), headers.get("If-None-Match"))

    def sent(self) -> dict[str, Any]:
        """The JSON object that was sent, no larger than a descriptor file may be.

        Raises:
            TooLargeError: it says that it is larger.
        """
        length, most = self.request.META.get("CONTENT_LENGTH") or "0", settings.CALLBOARD_MAX_FILE_BYTES
        if length.isascii() and length.isdigit() and int(length) > most:
            raise TooLargeError(f"The body has more than {most:,} bytes.", remedy="Write a smaller document.")
        return checked_body(self.request, extra=True)

    def present(self, ref: EntityRef, action: str = "view") -> Entity:
        """The entity with its document, in one statement.

        Raises:
            NotFoundError: it is not there for this viewer.
        """
        rows = Entity.objects.visible_to(self.viewer, action).filter(ref=ref.canonical)
        entity: Entity | None = rows.select_related("document").first()
        if entity is None:
            raise NotFoundError(f"Entity not found: {ref.canonical}")
        return entity

    def written(self, result: Written) -> HttpResponse:
        """201 for a new entity, else 200; the entity as it is now, and what was done."""
        entity = result.entity
        head: dict[str, Any] = {
            "outcome": result.outcome,
            "revision": entity.revision,
            "source": entity.source.name if entity.source else None,
            "tookOverFrom": result.took_over or None,
            "warnings": [problem_body(warning) for warning in result.warnings],
        }
        start = json_response(head).content[:-1]
        body = b"".join((start, b',"entity":', entity.document.text.encode(), b"}"))
        status = 201 if result.outcome == "created" else 200
        response = HttpResponse(body, status=status, content_type=CONTENT_TYPE)
        response["ETag"] = f'"{entity.etag}"'
        if result.outcome in ("created", "renamed"):
            response["Location"] = address_of(entity.ref)
        return response


class EntityView(EntityWriting):
    """``/entities/<kind>/<namespace>/<name>``"""

    actions_required: ClassVar[dict[str, str]] = {"PUT": "write", "PATCH": "write", "DELETE": "write"}
    parser_classes = (JSONParser, MergePatchParser)

    @extend_schema(**schema.READ)
    def get(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponse:
        self.parameters()
        entity = self.present(self.reference(kind, namespace, name))
        if is_known(request.headers.get("If-None-Match"), entity.etag):
            response = HttpResponse(status=304)
            del response["Content-Type"]
        else:
            response = HttpResponse(entity.document.text.encode(), content_type=CONTENT_TYPE)
        response["ETag"] = f'"{entity.etag}"'
        return response

    @extend_schema(**schema.PUT)
    def put(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponse:
        source = self.parameters("source").one("source") or ""
        result = put_entity(
            actor=self.viewer,
            ref=self.reference(kind, namespace, name),
            document=self.sent(),
            when=self.condition(),
            source_name=source,
        )
        return self.written(result)

    @extend_schema(**schema.PATCH)
    def patch(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponse:
        self.parameters()
        result = patch_entity(
            actor=self.viewer,
            ref=self.reference(kind, namespace, name),
            patch=self.sent(),
            when=self.condition(),
        )
        return self.written(result)

    @extend_schema(**schema.DELETE)
    def delete(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponse:
        self.parameters()
        result = delete_entity(
            actor=self.viewer, ref=self.reference(kind, namespace, name), when=self.condition()
        )
        stone = result.tombstone
        return json_response(
            {
                "outcome": "deleted" if stone else "withdrawn",
                "ref": result.ref,
                "uid": str(stone.uid) if stone else None,
                "restorableUntil": stone.keep_until.isoformat() if stone else None,
                "declaredBy": result.declared_by or None,
            }
        )


class RenameView(EntityWriting):
    """``/entities/<kind>/<namespace>/<name>/rename``"""

    actions_required: ClassVar[dict[str, str]] = {"POST": "write"}

    @extend_schema(**schema.RENAME)
    @idempotent
    def post(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponse:
        self.parameters()
        body = checked_body(request, optional={"name": str, "namespace": str})
        result = rename_entity(
            actor=self.viewer,
            ref=self.reference(kind, namespace, name),
            when=self.condition(),
            **body,
        )
        return self.written(result)


class RestoreRevisionView(EntityWriting):
    """``/entities/<kind>/<namespace>/<name>/revisions/<number>/restore``"""

    actions_required: ClassVar[dict[str, str]] = {"POST": "write"}

    @extend_schema(**schema.RESTORE_REVISION)
    @idempotent
    def post(self, request: Request, kind: str, namespace: str, name: str, number: int) -> HttpResponse:
        self.parameters()
        entity = self.present(self.reference(kind, namespace, name), CURATE)
        result = restore_revision(actor=self.viewer, entity=entity, number=number, when=self.condition())
        return self.written(result)


class RestoreView(EntityWriting):
    """``/entities/<kind>/<namespace>/<name>/restore``: a removed entity, from its last tombstone."""

    actions_required: ClassVar[dict[str, str]] = {"POST": "write"}

    @extend_schema(**schema.RESTORE)
    @idempotent
    def post(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponse:
        self.parameters()
        if request.data not in ({}, None):
            raise InputError("request/body must be empty", code="api.body.extra")
        ref = self.reference(kind, namespace, name)
        stones = Tombstone.objects.visible_to(self.viewer, CURATE).filter(ref=ref.canonical)
        stone = stones.filter(restored_at=None).order_by("-removed_at", "-pk").first()
        if stone is None:
            raise NotFoundError(
                f"No entity {ref.canonical} was removed lately.", code="catalog.tombstone.unknown"
            )
        restore_entity(actor=self.viewer, tombstone=stone)
        return json_response({"outcome": "restored", "ref": stone.ref, "uid": str(stone.uid)})
