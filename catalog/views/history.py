"""What an entity was: the tab with its versions, all versions on a page of their own, an entity at a moment."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from catalog.diff import diff_documents
from catalog.models import Entity, Revision, Source
from catalog.presenters.entity import SHORT_GROUP, EntityPage, as_yaml, refs_to_know, targets_by_type
from catalog.presenters.history import (
    SHOWN_CHANGES,
    ChangeRow,
    VersionRow,
    change_rows,
    own_content,
    version_rows,
    version_url,
)
from catalog.presenters.refs import entity_url
from catalog.presenters.source_text import SourceText, source_text
from catalog.query import document_at, relations_at
from catalog.selectors import earlier_lives, version_at, versions_of
from catalog.services.managed import restore_revision
from catalog.views.viewing import kinds_for, known_entities, viewer_of
from portal.access.viewer import CURATE, Viewer
from portal.core.errors import InputError, NotAllowedError

SHOWN = 20


@dataclass(frozen=True, slots=True)
class PastPage:
    """An entity as it was at a moment.

    Attributes:
        view: the document of then, with the relations of then.
        changes: what changed since, where the entity is still there.
        earlier_url, later_url: the versions beside it; empty where there is none.
        restore_url: writes this version again; empty where nobody may, or a source would overwrite it (``why_not``).
    """

    view: EntityPage
    at: datetime
    number: int
    since: datetime
    until: datetime | None
    text: SourceText
    changes: list[ChangeRow]
    more: int
    now_url: str
    history_url: str
    earlier_url: str
    later_url: str
    restore_url: str = ""
    why_not: str = ""


def _sources(viewer: Viewer, versions: Iterable[Entity | Revision]) -> dict[str, str]:
    ids = {version.source_id for version in versions if version.source_id}
    rows = Source.objects.visible_to(viewer).filter(pk__in=ids)
    return {str(key): name for key, name in rows.values_list("pk", "name")}


def _rows(viewer: Viewer, present: Entity | None, revisions: list[Revision]) -> tuple[list[VersionRow], bool]:
    """Rows for the first ``SHOWN`` versions, and whether there are more."""
    shown = SHOWN - bool(present)
    listed, before = revisions[:shown], revisions[shown] if len(revisions) > shown else None
    sources = _sources(viewer, [*([present] if present else []), *listed])
    return version_rows(present, listed, before=before, sources=sources), before is not None


def versions_address(uid: uuid.UUID, before: int | None = None) -> str:
    address = reverse("catalog:versions", args=[uid])
    return address if before is None else f"{address}?before={before}"


def history(viewer: Viewer, entity: Entity) -> Mapping[str, Any]:
    """The newest versions; three statements."""
    revisions = versions_of(viewer, entity.uid, limit=SHOWN)
    rows, more = _rows(viewer, entity, revisions)
    lives = earlier_lives(viewer, entity.ref, entity.uid)
    return {
        "rows": rows,
        "more_url": versions_address(entity.uid, rows[-1].number) if more else "",
        "lives": [(versions_address(uid), last) for uid, last in lives],
    }


@require_safe
def versions(request: HttpRequest, uid: uuid.UUID) -> HttpResponse:
    """All versions of one entity, also of one that is gone."""
    viewer = viewer_of(request)
    try:
        before = int(request.GET["before"]) if "before" in request.GET else None
    except ValueError:
        raise InputError("before has to be the number of a version.", code="catalog.version.before") from None
    present = None
    if before is None:
        present = Entity.objects.visible_to(viewer).filter(uid=uid).select_related("document").first()
    revisions = versions_of(viewer, uid, before=before, limit=SHOWN + 1 - bool(present))
    if present is None and not revisions:
        raise Http404("There are no such versions.")
    rows, more = _rows(viewer, present, revisions)
    context = {
        "ref": rows[0].ref,
        "rows": rows,
        "entity_url": entity_url(rows[0].ref),
        "first_url": versions_address(uid) if before is not None else "",
        "more_url": versions_address(uid, rows[-1].number) if more else "",
    }
    return render(request, "catalog/versions.html", context)


def past_page(request: HttpRequest, ref: str, at: datetime) -> HttpResponse:
    """The page of an entity as it was at a moment.

    Raises:
        NotFoundError: it was not there then.
    """
    viewer = viewer_of(request)
    version = version_at(viewer, ref, at)
    present = Entity.objects.visible_to(viewer).filter(uid=version.uid).select_related("document").first()
    is_past = isinstance(version, Revision)
    text = version.text if isinstance(version, Revision) else version.document.text
    document = document_at(text, relations_at([version.ref], at)[version.ref])
    refs = refs_to_know(targets_by_type(document), limit=SHORT_GROUP)
    entity = _as_entity(version) if isinstance(version, Revision) else version
    view = EntityPage(entity, document, kinds_for(viewer), known_entities(viewer, refs))
    changes = (
        diff_documents(own_content(text), own_content(present.document.text)) if present and is_past else []
    )
    number = version.number if isinstance(version, Revision) else version.revision
    beside = {
        revision.number: revision
        for revision in Revision.objects.visible_to(viewer)
        .filter(uid=version.uid, number__in=(number - 1, number + 1))
        .defer("text")
    }
    earlier, later = beside.get(number - 1), beside.get(number + 1)
    page = PastPage(
        view=view,
        at=at,
        number=number,
        since=version.since if isinstance(version, Revision) else version.revised_at,
        until=version.until if isinstance(version, Revision) else None,
        text=source_text(as_yaml(document), "yaml"),
        changes=change_rows(changes[:SHOWN_CHANGES]),
        more=max(len(changes) - SHOWN_CHANGES, 0),
        now_url=entity_url(present.ref) if present else "",
        history_url=versions_address(version.uid),
        earlier_url=version_url(earlier.ref, earlier.since) if earlier else "",
        later_url=version_url(later.ref, later.since) if later else "",
        **_restoring(viewer, present, version),
    )
    return render(request, "catalog/entity/past.html", {"page": page, "view": view, "now": timezone.now()})


def _restoring(viewer: Viewer, present: Entity | None, version: Entity | Revision) -> dict[str, str]:
    """Whether this version can be written again from here."""
    if present is None or not isinstance(version, Revision) or not viewer.allows(CURATE):
        return {}
    source = Source.objects.visible_to(viewer).filter(entities=present.pk).first()
    if source is not None and source.type != Source.Type.MANAGED:
        why = f"{source.name} declares it and would write over it: put the old text back into its file."
        return {"why_not": why}
    return {"restore_url": reverse("catalog:version-restore", args=[version.uid, version.number])}


@require_POST
def restore_version(request: HttpRequest, uid: uuid.UUID, number: int) -> HttpResponse:
    """Write what an earlier version said as a new one. For those who curate."""
    viewer = viewer_of(request)
    if not viewer.allows(CURATE):
        raise NotAllowedError("Restoring a version is for people who curate the catalog.")
    entity = get_object_or_404(Entity.objects.visible_to(viewer, CURATE), uid=uid)
    restore_revision(actor=viewer, entity=entity, number=number)
    messages.success(request, f"Version {number} of {entity.ref} was written again.")
    return HttpResponseRedirect(entity_url(entity.ref))


def _as_entity(version: Revision) -> Entity:
    """A version in the shape in which pages read entities; never saved."""
    names = (
        "uid",
        "ref",
        "kind",
        "namespace",
        "name",
        "label",
        "type",
        "lifecycle",
        "owner_ref",
        "system_ref",
    )
    return Entity(**{name: getattr(version, name) for name in names}, etag=version.etag)
