"""What every page of the catalog needs: who looks, which kinds there are, and scoped reads of the other ends."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import F, OuterRef, Subquery, TextField, Value
from django.db.models.functions import Coalesce, NullIf
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.http import urlencode

from catalog.models import Entity, EntityAttribute, Kind
from catalog.presenters.refs import KindBook
from catalog.querysets import EntityQuerySet
from portal.access.selectors import groups_of, person_ref
from portal.access.viewer import Viewer
from portal.core.remember import remembered


def viewer_of(request: HttpRequest) -> Viewer:
    """Who looks at the page."""
    viewer: Viewer = request.viewer  # type: ignore[attr-defined]  # set by AccessMiddleware
    return viewer


def kinds_for(viewer: Viewer) -> KindBook:
    """All kinds, in their order. One statement a request."""
    return remembered(
        ("catalog.kinds", viewer.actor),
        lambda: KindBook.of(Kind.objects.visible_to(viewer).order_by("order", "name")),
    )


def identities(viewer: Viewer) -> list[str]:
    """The references under which this viewer owns things: its own and those of its groups. Two statements a request."""

    def read() -> list[str]:
        groups = remembered(("access.groups", viewer.actor), lambda: groups_of(viewer))
        return [ref for ref in (person_ref(viewer), *(ref for ref, _ in groups)) if ref]

    return remembered(("catalog.identities", viewer.actor), read)


def _written(key: str) -> Subquery:
    """The value of one key as its author wrote it, from the attribute index."""
    rows = EntityAttribute.objects.unrestricted("the entity around it is scoped")
    return Subquery(rows.filter(entity=OuterRef("pk"), key__name=key).values("value__text")[:1])


def named(rows: EntityQuerySet) -> EntityQuerySet:
    """Adds ``shown_title``: the title, a person's display name, or the name as the author wrote it.

    The columns of an entity hold lower-cased text, and a document can be large; the attribute index has these words
    as they were written.
    """
    nothing = Value("", TextField())
    return rows.annotate(
        shown_title=Coalesce(
            NullIf(_written("metadata.title"), nothing),
            NullIf(_written("spec.profile.displayname"), nothing),
            NullIf(_written("metadata.name"), nothing),
            F("name"),
            output_field=TextField(),
        )
    )


def known_entities(viewer: Viewer, refs: Iterable[str]) -> dict[str, Entity]:
    """The entities among ``refs`` that are there and that the viewer may see. One statement, none for no refs."""
    wanted = set(refs)
    if not wanted:
        return {}
    rows = Entity.objects.visible_to(viewer).filter(ref__in=wanted)
    return {entity.ref: entity for entity in named(rows)}


def admin_address(viewer: Viewer, name: str, *args: object) -> str:
    """An address in admin for people who curate; empty for everyone else, and where admin has no such page."""
    if not viewer.is_staff:
        return ""
    try:
        return reverse(f"admin:{name}", args=args)
    except NoReverseMatch:
        return ""


def with_query(request: HttpRequest, **changes: str | None) -> str:
    """This page with some query parameters changed (None removes), without the cursor, which belongs to one list."""
    query = request.GET.copy()
    for name in ("after", "before", "cursor"):
        query.pop(name, None)
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = value
    encoded = urlencode(sorted(query.lists()), doseq=True)
    return f"{request.path}?{encoded}" if encoded else request.path


def site(request: HttpRequest) -> str:
    """Scheme and host of this installation as the browser sees it."""
    return f"{request.scheme}://{request.get_host()}"
