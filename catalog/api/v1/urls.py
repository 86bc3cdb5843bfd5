"""Our own paths of the catalog, below ``/api/catalog/v1/``."""

from __future__ import annotations

from django.urls import path

from catalog.api.v1 import (
    bulk,
    deliver,
    entities,
    health,
    history,
    hooks,
    lists,
    preview,
    refresh,
    remote,
)

ENTITY = "entities/<str:kind>/<str:namespace>/<str:name>"

app_name = "catalog-v1"
urlpatterns = [
    path("entities", lists.EntitiesView.as_view(), name="entities"),
    path("preview", preview.PreviewView.as_view(), name="preview"),
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
    path("refresh", refresh.RefreshView.as_view(), name="refresh"),
    path("hooks/<uuid:id>", deliver.DeliverView.as_view(), name="deliver"),
    path("inbound-hooks", hooks.HooksView.as_view(), name="hooks"),
    path("inbound-hooks/<uuid:id>", hooks.HookView.as_view(), name="hook"),
    path("inbound-hooks/<uuid:id>/secret", hooks.HookSecretView.as_view(), name="hook-secret"),
    path("inbound-hooks/<uuid:id>/deliveries", hooks.DeliveriesView.as_view(), name="hook-deliveries"),
    path("hook-deliveries/<int:id>/replay", hooks.ReplayView.as_view(), name="hook-replay"),
    path(ENTITY, entities.EntityView.as_view(), name="entity"),
    path(f"{ENTITY}/rename", entities.RenameView.as_view(), name="entity-rename"),
    path(f"{ENTITY}/restore", entities.RestoreView.as_view(), name="entity-restore"),
    path(
        f"{ENTITY}/revisions/<int:number>/restore",
        entities.RestoreRevisionView.as_view(),
        name="entity-revision-restore",
    ),
    path("bulk", bulk.BulkOperationsView.as_view(), name="bulk"),
    path("bulk/<str:id>", bulk.BulkOperationView.as_view(), name="bulk-operation"),
    path("bulk/<str:id>/undo", bulk.UndoView.as_view(), name="bulk-undo"),
]
