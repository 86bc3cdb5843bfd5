"""Stock's paths below ``/api/catalog``."""

from __future__ import annotations

from django.urls import path

from catalog.api import entities, entity, facets, locations, openapi, validation
from catalog.api.routing import tolerant

NAME = "<str:kind>/<str:namespace>/<str:name>"

app_name = "catalog-api"
urlpatterns = tolerant(
    [
        path(f"entities/by-name/{NAME}", entity.EntityByNameView.as_view(), name="by-name"),
        path("entities/by-query", entities.EntitiesByQueryView.as_view(), name="by-query"),
        path("entities/by-refs", entities.EntitiesByRefsView.as_view(), name="by-refs"),
        path("entity-facets", facets.FacetsView.as_view(), name="facets"),
        path("entities", entities.EntitiesView.as_view(), name="entities"),
        path(f"entities/by-name/{NAME}/ancestry", entity.AncestryView.as_view(), name="ancestry"),
        path("entities/by-uid/<str:uid>", entity.EntityByUidView.as_view(), name="by-uid"),
        path("locations", locations.LocationsView.as_view(), name="locations"),
        path("locations/by-query", locations.LocationsByQueryView.as_view(), name="locations-by-query"),
        path(
            f"locations/by-entity/{NAME}", locations.LocationByEntityView.as_view(), name="location-by-entity"
        ),
        path("locations/<str:id>", locations.LocationView.as_view(), name="location"),
        path("refresh", locations.RefreshView.as_view(), name="refresh"),
        path("validate-entity", validation.ValidateEntityView.as_view(), name="validate-entity"),
        path("analyze-location", validation.AnalyzeLocationView.as_view(), name="analyze-location"),
        path("openapi.json", openapi.OpenAPIView.as_view(), name="openapi"),
    ]
)
