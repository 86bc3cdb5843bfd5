"""Our own paths of the catalog, below ``/api/catalog/v1/``."""

from __future__ import annotations

from django.urls import path

from catalog.api.v1 import lists, preview

app_name = "catalog-v1"
urlpatterns = [
    path("entities", lists.EntitiesView.as_view(), name="entities"),
    path("preview", preview.PreviewView.as_view(), name="preview"),
]
