from __future__ import annotations

from django.urls import path

from portal.observability import health, metrics

app_name = "observability"
urlpatterns = [
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("metrics", metrics.view, name="metrics"),
]
