"""Asking the catalog: filters, predicates, orders, facets and pages. Knows nothing of HTTP."""

from catalog.query.conditions import COLUMNS, Condition, equals, selection
from catalog.query.cursor import StockCursor, TextFilter, decode_stock_cursor
from catalog.query.facets import FacetCount
from catalog.query.fields import Projection, parse_fields
from catalog.query.filters import parse_filters
from catalog.query.ordering import PORTAL_ORDERS, Order, PortalOrder, parse_order, parse_order_field
from catalog.query.past import PastQuery, document_at, documents_at, relations_at
from catalog.query.predicates import parse_predicate
from catalog.query.query import DocumentPage, EntityQuery, Page

__all__ = [
    "COLUMNS",
    "PORTAL_ORDERS",
    "Condition",
    "DocumentPage",
    "EntityQuery",
    "FacetCount",
    "Order",
    "Page",
    "PastQuery",
    "PortalOrder",
    "Projection",
    "StockCursor",
    "TextFilter",
    "decode_stock_cursor",
    "document_at",
    "documents_at",
    "equals",
    "parse_fields",
    "parse_filters",
    "parse_order",
    "parse_order_field",
    "parse_predicate",
    "relations_at",
    "selection",
]
