"""Our own paths of the catalog, below ``/api/catalog/v1/``."""

from __future__ import annotations

from django.urls import path

from catalog.api.v1 import history

ENTITY = "entities/<str:kind>/<str:namespace>/<str:name>"

app_name = "catalog-v1"
urlpatterns = [
    path(f"{ENTITY}/revisions", history.RevisionsView.as_view(), name="revisions"),
    path(f"{ENTITY}/revisions/<int:number>", history.RevisionView.as_view(), name="revision"),
    path(f"{ENTITY}/revisions/<int:number>/diff", history.RevisionDiffView.as_view(), name="revision-diff"),
    path(f"{ENTITY}/at", history.MomentView.as_view(), name="moment"),
]
