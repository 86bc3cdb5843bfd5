"""Our own paths of the catalog, below ``/api/catalog/v1/``."""

from __future__ import annotations

from django.urls import URLPattern, path

from catalog.api.v1 import health

NAME = "<str:kind>/<str:namespace>/<str:name>"

app_name = "catalog-v1"
urlpatterns: list[URLPattern] = [
    path(f"entities/{NAME}/freshness", health.FreshnessView.as_view(), name="freshness"),
    path("health-report", health.HealthReportView.as_view(), name="health-report"),
    path("conflicts", health.ConflictsView.as_view(), name="conflicts"),
    path("references", health.ReferencesView.as_view(), name="references"),
    path("references/pointers", health.PointersView.as_view(), name="pointers"),
]
