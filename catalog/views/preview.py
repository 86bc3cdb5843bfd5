"""What would this do: an author pastes a descriptor, or names a place, and sees what the catalog would make of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from catalog.ingest.sources import SentFiles
from catalog.models import Source
from catalog.presenters.preview_page import ReportView, report_view
from catalog.selectors import source_named
from catalog.services.preview import Report, preview_changes
from catalog.services.targets import guess_type
from catalog.views.viewing import viewer_of
from portal.access.viewer import Viewer
from portal.core.errors import CallboardError, InputError, NotAllowedError

REGISTER = "register"
USUAL_NAME = "catalog-info.yaml"
#: Sources that the list offers; others can be named.
OFFERED = 500


@dataclass(slots=True)
class PreviewPage:
    """What was asked, and the answer or what was wrong with the question."""

    source: str = ""
    ref: str = ""
    target: str = ""
    path: str = ""
    text: str = ""
    sources: list[str] = field(default_factory=list)
    report: ReportView | None = None
    error: str = ""
    remedy: str = ""


@require_http_methods(["GET", "HEAD", "POST"])
def preview(request: HttpRequest) -> HttpResponse:
    """The question, and after it was sent the answer. Nothing is written, so there is nothing to lead away from."""
    viewer = viewer_of(request)
    if not viewer.allows(REGISTER):
        raise NotAllowedError(
            "Previews are for people who may register sources.", remedy="Ask a platform admin."
        )
    asked = request.POST if request.method == "POST" else request.GET
    page = PreviewPage(
        source=asked.get("source", "").strip(),
        ref=asked.get("ref", "").strip(),
        target=asked.get("target", "").strip(),
        path=asked.get("path", "").strip(),
        text=asked.get("text", "").replace("\r\n", "\n"),
    )
    names = Source.objects.visible_to(viewer, REGISTER).order_by("name").values_list("name", flat=True)
    page.sources = list(names[:OFFERED])
    status = 200
    if request.method == "POST":
        try:
            page.report = report_view(_asked(viewer, page))
        except CallboardError as error:
            page.error, page.remedy, status = error.message, error.remedy, error.status
    return render(request, "catalog/preview.html", {"page": page}, status=status)


def _asked(viewer: Viewer, page: PreviewPage) -> Report:
    if page.source and page.target:
        raise InputError(
            "Choose a source or name an address, not both.",
            code="catalog.preview.both",
            remedy="Empty one of the two.",
        )
    source = source_named(viewer, page.source, REGISTER) if page.source else None
    return preview_changes(
        actor=viewer,
        source=source,
        ref=page.ref,
        target=page.target,
        type=guess_type(page.target) if page.target else Source.Type.URL,
        sent=_pasted(page, source) if page.text.strip() else None,
    )


def _pasted(page: PreviewPage, source: Source | None) -> SentFiles:
    """The text as the one file that is different; alone where it belongs to nothing yet."""
    path = page.path
    if not path:
        one_file = source.target if source is not None and source.type == Source.Type.URL else page.target
        path = one_file or USUAL_NAME
    return SentFiles.of(
        [(f"file://{path}" if path.startswith("/") else path, page.text.encode())],
        complete=source is None and not page.target,
        file_bytes=settings.CALLBOARD_MAX_FILE_BYTES,
    )
