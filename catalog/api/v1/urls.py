"""Our own paths of the catalog, below ``/api/catalog/v1/``."""

from __future__ import annotations

from django.urls import path

from catalog.api.v1 import health, history, remote

ENTITY = "entities/<str:kind>/<str:namespace>/<str:name>"

app_name = "catalog-v1"
urlpatterns = [
    path(f"{ENTITY}/revisions", history.RevisionsView.as_view(), name="revisions"),
    path(f"{ENTITY}/revisions/<int:number>", history.RevisionView.as_view(), name="revision"),
    path(f"{ENTITY}/revisions/<int:number>/diff", history.RevisionDiffView.as_view(), name="revision-diff"),
    path(f"{ENTITY}/at", history.MomentView.as_view(), name="moment"),
    path(f"{ENTITY}/freshness", health.FreshnessView.as_view(), name="freshness"),
    path("health-report", health.HealthReportView.as_view(), name="health-report"),
    path("conflicts", health.ConflictsView.as_view(), name="conflicts"),
    path("references", health.ReferencesView.as_view(), name="references"),
    path("references/pointers", health.PointersView.as_view(), name="pointers"),
    path("sources/<uuid:id>/remote-report", remote.RemoteReportView.as_view(), name="remote-report"),
]
