"""``/entity-facets``: the values of keys, and how many entities have each."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from catalog.api import schema
from catalog.api.entities import texts_in
from catalog.api.stock import StockView, json_bytes
from catalog.query import EntityQuery, parse_filters, parse_predicate
from catalog.query.conditions import EVERYTHING, Condition
from catalog.query.memory import memory
from portal.access.api.bodies import checked_body
from portal.access.api.parameters import Parameters
from portal.core.errors import InputError


class FacetsView(StockView):
    """Facets by query parameters, or by a predicate."""

    @extend_schema(**schema.FACETS_GET)
    def get(self, request: Request) -> HttpResponse:
        given = Parameters(request, ("facet", "filter"))
        return self._answer(given.many("facet"), parse_filters(given.many("filter")))

    @extend_schema(**schema.FACETS_POST)
    def post(self, request: Request) -> HttpResponse:
        Parameters(request)
        body = checked_body(request, required={"facets": list}, optional={"query": dict}, extra=True)
        where = parse_predicate(body["query"]) if "query" in body else EVERYTHING
        return self._answer(texts_in(body, "facets"), where)

    def _answer(self, names: Sequence[str], where: Condition) -> HttpResponse:
        if not names:
            raise InputError(
                "No facet is named.", code="catalog.facets.missing", remedy="Name at least one, such as kind."
            )
        query = EntityQuery(self.viewer, where=where)
        version = query.remembered_under
        key = ("facets", query.scope.key, where, tuple(names))
        body = memory.get(version, key)
        if body is None:
            counted = query.facets(names)
            facets = {
                name: [{"value": c.value, "count": c.count} for c in counts]
                for name, counts in counted.items()
            }
            body = orjson.dumps({"facets": facets})
            memory.put(version, key, body, len(body))
        return json_bytes(body)
