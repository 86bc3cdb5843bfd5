"""The engine with everything set, for tests: a document in, an entity or its problems out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from catalog.ingest.documents import Outcome, process_file
from catalog.ingest.hosts import Host, Hosts
from catalog.ingest.problems import Problem, Rejected
from catalog.ingest.process import Processed, process_document
from catalog.kinds import KindRegistry
from catalog.refs import LocationRef
from portal.core.errors import NotFoundError

FILE = LocationRef("url", "https://github.com/acme/shop/blob/main/dir/catalog-info.yaml")
ROOT = LocationRef("url", "https://github.com/acme/all/blob/main/all.yaml")
HOSTS = Hosts([Host("git.example.com", "gitea")])
SPEC = {"type": "service", "lifecycle": "production", "owner": "team-a"}


def nothing_to_read(place: LocationRef) -> bytes:
    raise NotFoundError(f"{place.target} is not there", remedy="Look elsewhere.")


def component(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "one"},
        "spec": {**SPEC, **spec},
    }


def process(
    value: Any, *, read: Callable[[LocationRef], bytes] = nothing_to_read, **options: Any
) -> Processed:
    settings: dict[str, Any] = {
        "location": FILE,
        "origin": ROOT,
        "registry": KindRegistry.shipped(),
        "hosts": HOSTS,
        "read_placeholder": read,
    }
    return process_document(value, **{**settings, **options})


def problems_of(value: Any, **options: Any) -> list[Problem]:
    with pytest.raises(Rejected) as caught:
        process(value, **options)
    return caught.value.problems


def outcomes(text: str | bytes, **options: Any) -> list[Outcome]:
    settings: dict[str, Any] = {
        "location": FILE,
        "origin": FILE,
        "registry": KindRegistry.shipped(),
        "hosts": HOSTS,
        "read_placeholder": nothing_to_read,
    }
    return list(process_file(text.encode() if isinstance(text, str) else text, **{**settings, **options}))
