"""Reads at any size, each request another question, so that no answer is one that is remembered.

Of each sort the slowest twentieth counts (p95), measured at one client over HTTP.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any
from urllib.parse import quote

from catalog.bench.installation import Installation
from catalog.bench.load import BenchError

#: Requests of each sort, after those that warm connections and plans.
REQUESTS, WARM = 200, 20
_CATALOG = "/api/catalog"
_SESSION = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from portal.access.models import User
user = User.objects.unrestricted("bench").get(username="bench")
session = SessionStore()
session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
session[BACKEND_SESSION_KEY] = "portal.access.backends.Backend"
session.save()
print(session.session_key)
"""


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort of request.

    Attributes:
        target: milliseconds that 95 of 100 may take.
        paths: different questions.
    """

    name: str
    target: float
    paths: list[str]


def measure_scale(installation: Installation, token: str, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Name, p50, p95 and target of each sort of request."""
    session = installation.manage("shell", "-v", "0", "-c", _SESSION).strip().splitlines()[-1]
    found = []
    for sort in sorts(installation.port, token):
        say(f"{sort.name}, {len(sort.paths)} different requests")
        times = sorted(_times(installation.port, sort.paths, token, session))
        found.append(
            {
                "name": sort.name,
                "target": sort.target,
                "p50": times[len(times) // 2],
                "p95": times[int(len(times) * 0.95)],
            }
        )
    return found


def sorts(port: int, token: str) -> list[Sort]:
    """The measured requests, made of what is in the catalog."""
    components = _get(
        port, token, f"{_CATALOG}/entities/by-query?limit=2000&filter=kind=component&fields=metadata"
    )
    names = [(e["metadata"]["namespace"], e["metadata"]["name"]) for e in components["items"]]
    facets = _get(
        port, token, f"{_CATALOG}/entity-facets?facet=relations.ownedBy&facet=spec.type&filter=kind=component"
    )
    owners = _largest_first(facets["facets"]["relations.ownedBy"])
    types = _largest_first(facets["facets"]["spec.type"])
    wanted = REQUESTS + WARM
    step = max(len(names) // wanted, 1)
    pairs = list(product(owners[:80], types[:6]))[:wanted]
    words = [name[:length] for length in (2, 3, 4, 5) for _, name in names[:: max(step // 2, 1)]]
    by_owner = [f"relations.ownedBy={quote(owner)}" for owner in owners[:wanted]]
    fields = "fullTextFilterFields=metadata.name,metadata.title"
    return [
        Sort(
            "by name", 5, [f"{_CATALOG}/entities/by-name/component/{ns}/{name}" for ns, name in names[::step]]
        ),
        Sort(
            "first page, filtered and sorted",
            10,
            [
                f"{_CATALOG}/entities/by-query?limit=20&orderField=metadata.name,asc"
                f"&filter=kind=component,relations.ownedBy={quote(owner)},spec.type={quote(kind)}"
                for owner, kind in pairs
            ],
        ),
        Sort(
            "filtered facets",
            15,
            [
                f"{_CATALOG}/entity-facets?facet=spec.type&facet=spec.lifecycle&facet=metadata.tags"
                f"&filter=kind=component,{owner}"
                for owner in by_owner
            ],
        ),
        Sort(
            "typeahead",
            20,
            [
                f"{_CATALOG}/entities/by-query?limit=8&{fields}&fullTextFilterTerm={quote(word)}"
                "&orderField=metadata.name,asc&totalItems=exclude&fields=kind,metadata.name,metadata.namespace"
                for word in dict.fromkeys(words)
            ],
        ),
        Sort(
            "catalog page",
            100,
            [f"/catalog/?kind=component&owner={quote(o)}&type={quote(t)}" for o, t in pairs],
        ),
    ]


def _largest_first(counts: Sequence[dict[str, Any]]) -> list[str]:
    return [item["value"] for item in sorted(counts, key=lambda item: (-item["count"], item["value"]))]


def _get(port: int, token: str, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise BenchError(f"{path} answered {answer.status}.")
    return json.loads(body)


def _times(port: int, paths: Sequence[str], token: str, session: str) -> Iterator[float]:
    """Milliseconds of each request after the first ones."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for number, path in enumerate(paths[: REQUESTS + WARM]):
        is_page = path.startswith("/catalog/")
        headers = (
            {"Cookie": f"callboard_session={session}"} if is_page else {"Authorization": f"Bearer {token}"}
        )
        started = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise BenchError(f"{path} answered {answer.status}.")
        if number >= WARM:
            yield (time.perf_counter() - started) * 1000
    connection.close()
