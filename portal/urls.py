"""Every address."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from portal.web.plugin_pages import plugin_pages

urlpatterns = [
    path("api/catalog/v1/", include("catalog.api.v1.urls")),
    path("api/catalog/", include("catalog.api.urls")),  # early: it is asked most, and by far
    path("api/events/v1/", include("portal.events.api.urls")),
    path("", include("portal.web.urls")),
    path("", include("portal.observability.urls")),
    path("accounts/", include("allauth.urls")),
    path("catalog/", include("catalog.urls")),
    path("jobs/", include("portal.jobs.urls")),
    path("api/jobs/v1/", include("portal.jobs.api.urls")),
    path("api/audit/v1/", include("portal.web.api.audit")),
    path("api/", include("portal.web.api_urls")),
    path("admin/", admin.site.urls),
    *plugin_pages(),
]

handler400 = "portal.web.views.errors.bad_request"
handler403 = "portal.web.views.errors.forbidden"
handler404 = "portal.web.views.errors.not_found"
handler500 = "portal.web.views.errors.server_error"
