"""Choosing how the portal looks, without a script."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from portal.core.errors import InputError
from portal.web.context import THEME_COOKIE, THEMES

ONE_YEAR = 365 * 24 * 3600


@require_POST
def appearance(request: HttpRequest) -> HttpResponse:
    """Keeps the chosen theme in a cookie and goes back to the page the choice was made on."""
    theme = request.POST.get("theme", "")
    if theme not in {known.key for known in THEMES}:
        raise InputError(f"There is no appearance called {theme!r}.", remedy="Choose one from your menu.")
    back = request.headers.get("referer", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = "/"
    response = HttpResponseRedirect(back)
    response.set_cookie(THEME_COOKIE, theme, max_age=ONE_YEAR, samesite="Lax", secure=request.is_secure())
    return response
