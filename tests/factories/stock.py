"""The paths of a stock instance that a source reads, answered from a list, and misbehaving on demand."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from tests.services.http_server import Reply, Seen


def made(name: str, *, kind: str = "Component", etag: str = "1", **parts: Any) -> dict[str, Any]:
    """A finished entity as stock sends it."""
    metadata = {
        "namespace": "default",
        "name": name,
        "uid": f"uid-{name}",
        "etag": etag,
        "annotations": {"backstage.io/managed-by-location": "url:https://git.example.org/a.yaml"},
    }
    spec = {"type": "service", "lifecycle": "production", "owner": "platform"}
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": metadata | parts.pop("metadata", {}),
        "spec": spec,
        "relations": [{"type": "ownedBy", "targetRef": "group:default/platform"}],
    } | parts


def ref_of(item: dict[str, Any]) -> str:
    return f"{item['kind']}:{item['metadata']['namespace']}/{item['metadata']['name']}".lower()


class Stock:
    """Answers as stock does on the three paths that are read, unless ``instead`` has another answer.

    Attributes:
        items: its catalog, in the order of its listing.
        instead: asked first, with the request and what would be answered.
    """

    def __init__(self, *items: dict[str, Any]) -> None:
        self.items = list(items)
        self.locations: list[dict[str, str]] = []
        self.instead: Callable[[Seen, Reply], Reply | None] = lambda seen, reply: None

    def __call__(self, seen: Seen) -> Reply:
        parts = urlsplit(seen.path)
        path, query = parts.path.removeprefix("/api/catalog"), parse_qs(parts.query)
        if path == "/entities/by-query":
            reply = self._page(query)
        elif path == "/entities/by-refs":
            by_ref = {ref_of(item): item for item in self.items}
            reply = as_json({"items": [by_ref.get(ref) for ref in json.loads(seen.body)["entityRefs"]]})
        elif path == "/locations":
            reply = as_json([{"data": {"id": "x", **location}} for location in self.locations])
        else:
            reply = Reply(404)
        return self.instead(seen, reply) or reply

    def _page(self, query: dict[str, list[str]]) -> Reply:
        start = int(base64.b64decode(query["cursor"][0])) if "cursor" in query else 0
        end = start + int(query["limit"][0])
        info = {"nextCursor": cursor_to(end)} if end < len(self.items) else {}
        names = query["fields"][0].split(",")
        items = [only(item, names) for item in self.items[start:end]]
        return as_json({"items": items, "totalItems": len(self.items), "pageInfo": info})


def cursor_to(position: int) -> str:
    return base64.b64encode(str(position).encode()).decode()


def only(item: dict[str, Any], names: list[str]) -> dict[str, Any]:
    metadata = {key: item["metadata"][key] for key in item["metadata"] if f"metadata.{key}" in names}
    return {"kind": item["kind"], "metadata": metadata}


def as_json(value: Any, status: int = 200) -> Reply:
    return Reply(status, orjson.dumps(value), {"Content-Type": "application/json"})


def is_listing(seen: Seen) -> bool:
    return "/by-query" in seen.path


def is_reading(seen: Seen) -> bool:
    return seen.path.endswith("/by-refs")
