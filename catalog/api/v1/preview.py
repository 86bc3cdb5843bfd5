"""``POST /api/catalog/v1/preview``: what would this change do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, ClassVar

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from catalog.ingest.sources.sent import MOST_BYTES, SentFiles
from catalog.models import Source
from catalog.presenters.preview_text import RENDERERS
from catalog.selectors import source_named
from catalog.services.preview import as_files, preview_changes
from portal.access.api.bodies import checked_body
from portal.access.api.parsers import JSONParser
from portal.access.api.renderers import json_response
from portal.access.api.schema import Shape
from portal.access.api.views import OwnView
from portal.core.errors import InputError, TooLargeError

#: JSON writes some characters as two or six.
MOST_BODY = MOST_BYTES * 2
_TEXT = {"type": "string"}


class Preview(Shape):
    """What the catalog would do."""

    described: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["verdict", "counts", "entities", "conflicts", "dangling", "mended", "problems"],
        "properties": {
            "verdict": {"type": "string", "enum": ["ok", "warning", "error"]},
            "source": _TEXT,
            "target": _TEXT,
            "ref": _TEXT,
            "files": {"type": "integer"},
            "documents": {"type": "integer"},
            "unread": {"type": "string", "description": "Why nothing could be read."},
            "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
            **{
                name: {"type": "array", "items": {"type": "object"}}
                for name in ("entities", "relations", "conflicts", "dangling", "mended", "problems")
            },
            "held": {"type": "object", "nullable": True, "description": "Removals that would wait."},
            "leftOff": {"type": "object", "additionalProperties": {"type": "integer"}},
            "rendered": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }


BODY = {
    "type": "object",
    "properties": {
        "source": {"type": "string", "description": "Name or id of a registered source."},
        "ref": {"type": "string", "description": "Read its branch as if it were this branch, tag or commit."},
        "target": {"type": "string", "description": "Of a source that is not registered."},
        "type": {"type": "string", "enum": ["url", "git"]},
        "branch": _TEXT,
        "pattern": _TEXT,
        "allowedKinds": {"type": "array", "items": _TEXT},
        "files": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "content"],
                "properties": {"path": _TEXT, "content": _TEXT},
            },
        },
        "removed": {"type": "array", "items": _TEXT, "description": "Paths that are no longer there."},
        "complete": {"type": "boolean", "description": "Whether files that are not sent are gone (default)."},
    },
}


class PreviewParser(JSONParser):
    """JSON of a bounded size, counted while it is read."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return super().parse(_Bounded(stream), media_type, parser_context)  # type: ignore[arg-type]  # reads only


class _Bounded:
    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream

    def read(self) -> bytes:
        data = self.stream.read(MOST_BODY + 1)
        if len(data) > MOST_BODY:
            raise TooLargeError(
                f"The body has more than {MOST_BODY} bytes.",
                code="catalog.preview.too-large",
                remedy="Send only what descriptors name, or only what changed (`complete` false).",
            )
        return data


class PreviewView(OwnView):
    """``/preview``"""

    actions_required: ClassVar[dict[str, str]] = {"POST": "register"}
    parser_classes = (PreviewParser,)

    @extend_schema(
        operation_id="catalog_preview",
        parameters=[
            OpenApiParameter(
                "render", str, many=True, enum=sorted(RENDERERS), description="Texts to add under `rendered`."
            )
        ],
        request={"application/json": BODY},
        responses={200: Preview},
    )
    def post(self, request: Request) -> HttpResponse:
        wanted = self.parameters("render").many("render")
        unknown = sorted(set(wanted) - set(RENDERERS))
        if unknown:
            raise InputError(
                f"{unknown[0]!r} is no way to render a report.",
                code="api.parameter.choice",
                remedy=f"Use {', '.join(RENDERERS)}.",
            )
        body = checked_body(
            request,
            optional={
                "source": str, "ref": str, "target": str, "type": str, "branch": str, "pattern": str,
                "allowedKinds": list, "files": list, "removed": list, "complete": bool,
            },
        )  # fmt: skip
        source = source_named(self.viewer, body["source"], "register") if "source" in body else None
        if source is not None and "target" in body:
            raise InputError("Name a source or a target, not both.", code="catalog.preview.both")
        type = body.get("type", Source.Type.URL)
        if type not in (Source.Type.URL, Source.Type.GIT):
            raise InputError(f"The type has to be url or git, not {type!r}.", code="catalog.source.type")
        report = preview_changes(
            actor=self.viewer,
            source=source,
            ref=body.get("ref", ""),
            target=body.get("target", ""),
            type=type,
            branch=body.get("branch", ""),
            pattern=body.get("pattern", ""),
            allowed_kinds=_texts(body, "allowedKinds"),
            sent=_sent(body),
        )
        answer = report.as_json()
        if wanted:
            answer["rendered"] = {name: RENDERERS[name](report) for name in wanted}
        return json_response(answer)


def _sent(body: dict[str, Any]) -> SentFiles | None:
    if "files" not in body and "removed" not in body:
        return None
    return SentFiles.of(
        as_files(body.get("files", ())),
        removed=_texts(body, "removed"),
        complete=body.get("complete", True),
        file_bytes=settings.CALLBOARD_MAX_FILE_BYTES,
    )


def _texts(body: dict[str, Any], name: str) -> list[str]:
    values: list[Any] = body.get(name, [])
    for number, value in enumerate(values):
        if not isinstance(value, str):
            raise InputError(f"request/body/{name}/{number} must be string", code="api.body.type")
    return values
