"""Pages that plugins bring, below ``/x/<key>/``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

import structlog
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, URLResolver
from django.urls.resolvers import RoutePattern

from portal.access.viewer import Viewer
from portal.plugins.points import Pages
from portal.plugins.registry import Registry, registry

log = structlog.get_logger(__name__)
View = Callable[..., HttpResponseBase]


class _Route(RoutePattern):
    """Leads nowhere while the pages are switched off."""

    def __init__(self, pages: Pages, known: Registry) -> None:
        super().__init__(f"x/{pages.key}/", is_endpoint=False)
        self._pages = pages
        self._known = known

    def match(self, path: str) -> Any:
        found = super().match(path)
        return found if found and self._known.is_on(self._pages) else None


class _Resolver(URLResolver):
    """The addresses of one plugin, which nobody sees without sign-in and without the permission of its pages."""

    def __init__(self, pages: Pages, known: Registry) -> None:
        # The import is the plugin's own code; it happens here so that a broken one does not take other pages along.
        patterns = import_module(pages.urls).urlpatterns
        super().__init__(_Route(pages, known), patterns, app_name=pages.key, namespace=pages.key)
        self._pages = pages

    def resolve(self, path: str) -> ResolverMatch:
        match = super().resolve(path)
        match.func = _guarded(match.func, self._pages)
        return match


def _guarded(view: View, pages: Pages) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        viewer: Viewer = request.viewer  # type: ignore[attr-defined]  # set by AccessMiddleware
        if pages.permission and not viewer.allows(pages.permission):
            raise Http404(pages.title)
        return view(request, *args, **named)

    guarded.login_required = True  # type: ignore[attr-defined]  # whatever the plugin's view says of itself
    return guarded


def plugin_pages(known: Registry = registry) -> list[URLResolver]:
    """Addresses of every plugin's pages; one whose URL configuration breaks is left out and logged."""
    found: list[URLResolver] = []
    for pages in known.all(Pages):
        try:
            resolver = _Resolver(pages, known)
            resolver._populate()  # names of its pages, and defects of deeper modules, now
        except Exception:
            # A third party's defect, of any type: the house starts without these pages.
            log.exception("extension_failed", extension=pages.full_key, owner=pages.owner)
            continue
        found.append(resolver)
    return found
