"""What an entity was: its versions, one of them, the difference between two, the document of a moment."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from catalog.api.v1.schema import history as schema
from catalog.diff import diff_documents
from catalog.models import Entity, Revision
from catalog.presenters.history import own_content
from catalog.query import document_at, relations_at
from catalog.refs import canonical
from catalog.selectors import life_of, moment, version_at, version_of, versions_of
from portal.access.api.renderers import json_response
from portal.access.api.views import OwnView
from portal.core.errors import InputError
from portal.core.paging import decode_cursor, encode_cursor, malformed_cursor

LIMIT, MOST = 20, 100


def described(version: Entity | Revision) -> dict[str, Any]:
    """What a version is, without its document."""
    past = version if isinstance(version, Revision) else None
    since = version.since if isinstance(version, Revision) else version.revised_at
    actor = version.actor if isinstance(version, Revision) else version.revised_by
    body: dict[str, Any] = {
        "number": version.number if isinstance(version, Revision) else version.revision,
        "uid": str(version.uid),
        "entityRef": version.ref,
        "etag": version.etag,
        "since": since,
        "until": past.until if past else None,
        "end": past.end if past else None,
        "endedBy": (past.ended_by or None) if past else None,
        "actor": actor or None,
        "source": str(version.source_id) if version.source_id else None,
        "sync": version.sync_id,
        "location": version.url,
        "line": version.line,
        "commit": version.commit or None,
    }
    return body


class _History(OwnView):
    """A view below one entity; the address names it by its present or its last reference, in any case."""

    mount = "/api/catalog"

    def uid(self, kind: str, namespace: str, name: str) -> UUID:
        given = self.request.query_params.get("uid")
        if given is None:
            return life_of(self.viewer, canonical(kind, namespace, name))
        try:
            return UUID(given)
        except ValueError:
            raise InputError(f"{given[:60]!r} is no uid.", code="catalog.uid") from None

    def present(self, uid: UUID) -> Entity | None:
        rows = Entity.objects.visible_to(self.viewer).filter(uid=uid)
        found: Entity | None = rows.select_related("document").first()
        return found

    def version(self, uid: UUID, number: int) -> Entity | Revision:
        present = self.present(uid)
        if present is not None and present.revision == number:
            return present
        return version_of(self.viewer, uid, number)


def _text(version: Entity | Revision) -> str:
    return version.text if isinstance(version, Revision) else version.document.text


class RevisionsView(_History):
    """``GET .../revisions``: all versions, newest first."""

    @extend_schema(**schema.REVISIONS)
    def get(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponse:
        given = self.parameters("cursor", "limit", "uid")
        limit = given.number("limit", least=1) or LIMIT
        if limit > MOST:
            raise InputError(f"limit is at most {MOST}.", code="api.parameter.limit")
        uid, before, cursor = self.uid(kind, namespace, name), None, given.one("cursor")
        if cursor is not None:
            before = decode_cursor(cursor)
            if type(before) is not int:
                raise malformed_cursor()
        present = self.present(uid) if before is None else None
        wanted = limit - bool(present)
        found = versions_of(self.viewer, uid, before=before, limit=wanted + 1)
        items: list[Entity | Revision] = [*([present] if present else []), *found[:wanted]]
        info: dict[str, str] = {}
        if len(found) > wanted:
            info["nextCursor"] = encode_cursor(described(items[-1])["number"])
        return json_response({"items": [described(item) for item in items], "pageInfo": info})


class RevisionView(_History):
    """``GET .../revisions/<number>``: one version with its document, as it stood at its end."""

    @extend_schema(**schema.REVISION)
    def get(self, request: Request, kind: str, namespace: str, name: str, number: int) -> HttpResponse:
        self.parameters("uid")
        version = self.version(self.uid(kind, namespace, name), number)
        return json_response({**described(version), "entity": orjson.loads(_text(version))})


class RevisionDiffView(_History):
    """``GET .../revisions/<number>/diff``: what it changed of the version before, or of another one."""

    @extend_schema(**schema.REVISION_DIFF)
    def get(self, request: Request, kind: str, namespace: str, name: str, number: int) -> HttpResponse:
        given = self.parameters("uid", "from")
        uid = self.uid(kind, namespace, name)
        other = given.number("from", least=0)
        other = number - 1 if other is None else other
        new = own_content(_text(self.version(uid, number)))
        old = own_content(_text(self.version(uid, other))) if other else {}
        changes = [change.as_json() for change in diff_documents(old, new)]
        return json_response({"from": other, "to": number, "changes": changes})


class MomentView(_History):
    """``GET .../at``: the entity as it was at a moment, with the relations that it had then."""

    @extend_schema(**schema.MOMENT)
    def get(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponse:
        at = moment(self.parameters("time").one("time") or "")
        if at is None:
            raise InputError(
                "time has to name a moment of the past.",
                code="catalog.at",
                remedy="Write time=2026-11-20 or time=2026-11-20T14:30:00Z.",
            )
        version = version_at(self.viewer, canonical(kind, namespace, name), at)
        document = document_at(_text(version), relations_at([version.ref], at)[version.ref])
        return json_response({**described(version), "entity": document})
