"""Stock's paths and nothing else."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("api/catalog/", include("catalog.api.urls"))]
