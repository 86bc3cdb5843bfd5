"""The changes of any list of the catalog as a feed: the same address as the list, with ``feed.atom``."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import http_date
from django.views.decorators.http import require_safe

from catalog.models import Entity
from catalog.presenters.feed import Feed, FeedEntry, as_atom, change_id
from catalog.presenters.listing import BY_WORD, Asked, Names, feed_url
from catalog.presenters.refs import Links, entity_url
from catalog.views.index import list_query, source_names
from catalog.views.viewing import kinds_for, known_entities, site, viewer_of
from portal.access.services import viewer_of_token
from portal.access.viewer import VIEW, Viewer

ENTRIES = 50


# Readers of feeds cannot sign in: the view looks at their credentials itself.
@login_not_required
@require_safe
def feed(request: HttpRequest) -> HttpResponseBase:
    """The newest changes first, 50 at most; nothing to send where the reader has them already."""
    viewer = _reader(request)
    if viewer is None or not viewer.allows(VIEW):
        return _refused()
    asked = Asked.of(reverse("catalog:index"), {**dict(request.GET.lists()), "sort": ["-updated"]})
    page = list_query(viewer, asked).page(ENTRIES)
    here = site(request)
    address = feed_url(asked, reverse("catalog:feed"))
    found = Feed(
        id=f"{here}{address}",
        title=_title(viewer, asked),
        url=f"{here}{asked.url()}",
        self_url=f"{here}{address}",
        entries=_entries(viewer, page.entities, here),
    )
    body = as_atom(found)
    etag = f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'
    response = HttpResponse(body, content_type="application/atom+xml; charset=utf-8")
    response["ETag"] = etag
    modified = None
    if found.entries:
        modified = int(found.updated.timestamp())
        response.headers["Last-Modified"] = http_date(modified)
    response["Cache-Control"] = "private, no-cache"
    patch_vary_headers(response, ("Authorization", "Cookie"))
    answer: HttpResponseBase | None = get_conditional_response(
        request, etag=etag, last_modified=modified, response=response
    )
    return answer or response


def _entries(viewer: Viewer, entities: Sequence[Entity], here: str) -> list[FeedEntry]:
    """Entries of the newest changes: what there is of a change is the entity as it is since."""
    owners = {entity.owner_ref for entity in entities if entity.owner_ref}
    kinds, known = kinds_for(viewer), known_entities(viewer, {entity.ref for entity in entities} | owners)
    links = Links(kinds, known)
    entries = []
    for entity in entities:
        kind = kinds[entity.kind].title
        appeared = entity.created_at == entity.changed_at
        words = [f"{kind} {entity.ref} {'appeared' if appeared else 'changed'}."]
        if entity.owner_ref:
            words.append(f"Owner: {links[entity.owner_ref].title}.")
        if entity.state != Entity.State.ACTIVE and entity.state_reason:
            words.append(entity.state_reason)
        entries.append(
            FeedEntry(
                id=change_id(entity.uid, entity.changed_at),
                title=f"{links[entity.ref].title} {'is new' if appeared else 'changed'}",
                url=f"{here}{entity_url(entity.ref)}",
                summary=" ".join(words),
                updated=entity.changed_at,
                published=entity.created_at,
                category=entity.kind,
            )
        )
    return entries


def _title(viewer: Viewer, asked: Asked) -> str:
    """What the list is called: its kind and its filters."""
    kinds = kinds_for(viewer)
    refs = {
        value.lower()
        for chosen in (asked.include, asked.exclude)
        for word in ("owner", "system")
        for value in chosen.get(word, ())
    }
    names = Names(
        kinds,
        Links(kinds, known_entities(viewer, refs)),
        source_names(viewer, asked.include.get("source", ())),
    )
    parts = [
        f"{BY_WORD[word].title.lower()} {' or '.join(names.label(word, value) for value in values)}"
        for word, values in asked.include.items()
        if word != "kind" or not asked.kind
    ]
    parts += [
        f"{BY_WORD[word].title.lower()} not {names.label(word, value)}"
        for word, values in asked.exclude.items()
        for value in values
    ]
    parts += [f"“{asked.text}”"] if asked.text else []
    title = kinds[asked.kind].plural if asked.kind else "Catalog"
    return f"{title}: {', '.join(parts)}" if parts else title


# --- who reads


def _reader(request: HttpRequest) -> Viewer | None:
    """Whoever the credentials stand for: a token as password with any name, a token, or a session."""
    header = request.META.get("HTTP_AUTHORIZATION", "")
    if not header:
        viewer = viewer_of(request)
        return viewer if viewer.is_signed_in else None
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return viewer_of_token(value.strip())
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        return viewer_of_token(decoded.partition(":")[2])
    return None


def _refused() -> HttpResponse:
    response = HttpResponse(
        "Sign in with any user name and an access token as password.\n",
        status=401,
        content_type="text/plain; charset=utf-8",
    )
    response["WWW-Authenticate"] = 'Basic realm="Callboard", charset="UTF-8"'
    return response
