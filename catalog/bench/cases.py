"""What is measured: the reads of a stock Backstage that have recorded figures, in the same shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Stock:
    """What a stock Backstage on a machine of the same size took, at 10,000 entities."""

    milliseconds: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Case:
    """One request.

    Attributes:
        times: how many times faster than stock it has to be, at one client and in requests per second.
    """

    name: str
    path: str
    stock: Stock
    times: tuple[float, float] = (5.0, 5.0)
    body: dict[str, Any] | None = field(default=None)


def cases(refs: list[str], component: str) -> list[Case]:
    """The measured requests.

    Args:
        refs: 100 references that exist.
        component: name of a component in the default namespace.
    """
    three = "kind=component,spec.type=service,spec.lifecycle=production"
    catalog = "/api/catalog"
    page = f"{catalog}/entities/by-query?limit=20&filter={quote(three)}&orderField=metadata.name,asc"
    named = "&".join(f"facet={key}" for key in ("spec.type", "spec.lifecycle", "relations.ownedBy"))
    facets = f"{catalog}/entity-facets?{named}&filter=kind=component"
    fields = "fullTextFilterFields=metadata.name,metadata.title"
    words = f"{catalog}/entities/by-query?limit=20&fullTextFilterTerm=order&{fields}"
    return [
        Case(
            "by name",
            f"{catalog}/entities/by-name/component/default/{component}",
            Stock(1.8, 810),
            (1.0, 1.5),
        ),
        Case("page of 20, three filters, sorted", page, Stock(27, 67)),
        Case("facets of components", facets, Stock(37, 51)),
        Case("all components", f"{catalog}/entities?filter=kind=component", Stock(52, 20)),
        Case(
            "100 references", f"{catalog}/entities/by-refs", Stock(3, 403), (1.0, 1.5), {"entityRefs": refs}
        ),
        Case(
            "full-text filter page",
            words + "&filter=kind=component&orderField=metadata.name,asc",
            Stock(8.5, 136),
        ),
    ]
