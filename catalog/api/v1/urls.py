"""Our own paths of the catalog, below ``/api/catalog/v1/``."""

from __future__ import annotations

from django.urls import URLPattern

app_name = "catalog-v1"
urlpatterns: list[URLPattern] = []
