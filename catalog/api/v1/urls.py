"""Our own paths of the catalog, below ``/api/catalog/v1/``."""

from __future__ import annotations

from django.urls import URLPattern, path

from catalog.api.v1 import bulk, entities

ENTITY = "entities/<str:kind>/<str:namespace>/<str:name>"

app_name = "catalog-v1"
urlpatterns: list[URLPattern] = [
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
