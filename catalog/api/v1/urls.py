"""Our own paths of the catalog, below ``/api/catalog/v1/``."""

from __future__ import annotations

from django.urls import URLPattern, path

from catalog.api.v1 import deliver, hooks, refresh

app_name = "catalog-v1"
urlpatterns: list[URLPattern] = [
    path("refresh", refresh.RefreshView.as_view(), name="refresh"),
    path("hooks/<uuid:id>", deliver.DeliverView.as_view(), name="deliver"),
    path("inbound-hooks", hooks.HooksView.as_view(), name="hooks"),
    path("inbound-hooks/<uuid:id>", hooks.HookView.as_view(), name="hook"),
    path("inbound-hooks/<uuid:id>/secret", hooks.HookSecretView.as_view(), name="hook-secret"),
    path("inbound-hooks/<uuid:id>/deliveries", hooks.DeliveriesView.as_view(), name="hook-deliveries"),
    path("hook-deliveries/<int:id>/replay", hooks.ReplayView.as_view(), name="hook-replay"),
]
