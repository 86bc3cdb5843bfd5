"""Our own paths of the catalog, below ``/api/catalog/v1/``."""

from __future__ import annotations

from django.urls import URLPattern, path

from catalog.api.v1.remote import RemoteReportView

app_name = "catalog-v1"
urlpatterns: list[URLPattern] = [
    path("sources/<uuid:id>/remote-report", RemoteReportView.as_view(), name="remote-report"),
]
