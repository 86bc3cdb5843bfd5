"""Sessions of browsers: looked at and ended here, made by signing in."""

from __future__ import annotations

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from portal.access.admin.actions import object_action
from portal.access.admin.base import ReadOnlyAdmin, viewer_of
from portal.access.browsers import browser_words
from portal.access.models import BrowserSession
from portal.access.services import end_session


@admin.register(BrowserSession)
class BrowserSessionAdmin(ReadOnlyAdmin):
    """The secret of a session is on no page."""

    list_display = ("user", "browser", "address", "created_at", "seen_at")
    list_select_related = ("user",)
    search_fields = ("user__username", "address")
    ordering = ("-seen_at",)
    fields = ("user", "browser", "address", "agent", "created_at", "seen_at")
    readonly_fields = ("browser",)
    actions_detail = ("sign_out",)

    @admin.display(description="Browser")
    def browser(self, session: BrowserSession) -> str:
        return browser_words(session.agent)

    @object_action("Sign out", question="This browser is asked to sign in again.", icon="logout", danger=True)
    def sign_out(self, request: HttpRequest, session: BrowserSession, form: forms.Form) -> HttpResponse:
        end_session(actor=viewer_of(request), session=session)
        messages.success(request, f"{browser_words(session.agent)} is signed out.")
        url = reverse("admin:access_user_change", args=[session.user_id])
        if request.headers.get("HX-Request"):
            return HttpResponse(headers={"HX-Redirect": url})
        return HttpResponseRedirect(url)
