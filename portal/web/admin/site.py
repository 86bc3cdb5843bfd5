"""The one admin site."""

from __future__ import annotations

import copy
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from unfold.dataclasses import Favicon
from unfold.sites import UnfoldAdminSite

from portal.web.admin.dashboard import needs_a_person
from portal.web.admin.look import COLORS, MARK, SCRIPT, STYLESHEET
from portal.web.admin.plugins import plugins_page
from portal.web.context import theme_of


class AdminSite(UnfoldAdminSite):
    """Curation for platform admins, in the look of the portal.

    There is one way to sign in, one to change a password and one to sign out: the portal's own.
    """

    site_title = "Callboard admin"
    site_header = "Callboard"
    index_title = "What needs a person"
    index_template = "admin/needs_a_person.html"

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context: dict[str, Any] = super().each_context(request)
        theme = theme_of(request)
        context["colors"] = copy.deepcopy(COLORS)
        context["styles"] = [static(STYLESHEET)]
        context["scripts"] = [static(SCRIPT)]
        context["site_favicons"] = [Favicon(href=static(MARK), rel="icon", type="image/svg+xml")]
        if theme in ("light", "dark"):
            context["theme"] = theme  # the choice made in the portal counts here as well
        return context

    def extra_urls(self) -> list[URLPattern]:
        return [path("plugins/", self.admin_view(self.plugins), name="plugins")]

    def plugins(self, request: HttpRequest) -> HttpResponse:
        return plugins_page(self, request)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        cards = needs_a_person(request.viewer)  # type: ignore[attr-defined]  # set by AccessMiddleware
        return super().index(request, {"cards": cards, **(extra_context or {})})

    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The portal's own page; somebody who is signed in without the right to curate is told so."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied("The admin is for people who curate the catalog.")
        wanted = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(
            wanted, {request.get_host()}, require_https=request.is_secure()
        ):
            wanted = reverse("admin:index")
        if request.user.is_authenticated:
            return HttpResponseRedirect(wanted)
        return HttpResponseRedirect(f"{reverse('account_login')}?{urlencode({'next': wanted})}")

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse("account_change_password"))

    def password_change_done(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse("account_change_password"))
