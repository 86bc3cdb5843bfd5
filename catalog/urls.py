"""Pages of the catalog. The address of an entity is its namespace, kind and name, lower case."""

from __future__ import annotations

from django.urls import path

from catalog.views import (
    bulk,
    entity,
    feed,
    health,
    history,
    hooks,
    index,
    preview,
    problems,
    refresh,
    removals,
    sources,
)

app_name = "catalog"
urlpatterns = [
    path("", index.index, name="index"),
    path("feed.atom", feed.feed, name="feed"),
    path("apis/", index.apis, name="apis"),
    path("preview/", preview.preview, name="preview"),
    path("problems/", problems.problems, name="problems"),
    path("health/", health.health, name="health"),
    path("conflicts/", health.conflicts, name="conflicts"),
    path("references/", health.references, name="references"),
    path("sources/", sources.sources, name="sources"),
    path("sources/<uuid:key>/", sources.source, name="source"),
    path("sources/<uuid:key>/progress/", sources.progress, name="source-progress"),
    path("sources/<uuid:key>/sync/", refresh.source, name="source-sync"),
    path("sources/<uuid:key>/held/", removals.held, name="source-held"),
    path("hooks/", hooks.hooks, name="hooks"),
    path("hooks/<uuid:key>/", hooks.hook, name="hook"),
    path("hooks/deliveries/<int:key>/replay/", hooks.replay, name="hook-replay"),
    path("removed/<int:key>/restore/", removals.restore, name="restore"),
    path("versions/<uuid:uid>/", history.versions, name="versions"),
    path("versions/<uuid:uid>/<int:number>/restore/", history.restore_version, name="version-restore"),
    path("act/", bulk.act, name="act"),
    path("operations/", bulk.operations, name="operations"),
    path("operations/<uuid:key>/", bulk.operation, name="operation"),
    path("operations/<uuid:key>/progress/", bulk.progress, name="operation-progress"),
    path("operations/<uuid:key>/undo/", bulk.undo, name="operation-undo"),
    path("by-ref/<path:ref>", entity.by_ref, name="by-ref"),
    path("<str:namespace>/<str:kind>/<str:name>/", entity.entity, name="entity"),
    path("<str:namespace>/<str:kind>/<str:name>/definition.txt", entity.definition_text, name="definition"),
    path("<str:namespace>/<str:kind>/<str:name>/refresh/", refresh.entity, name="entity-refresh"),
    path("<str:namespace>/<str:kind>/<str:name>/<slug:tab>/", entity.entity, name="entity-tab"),
]
