"""Documents that are written over REST, and a client that writes them."""

from __future__ import annotations

from typing import Any

import orjson
from django.test import Client

from portal.access.viewer import Viewer
from tests.factories.access import StaffFactory, TokenFactory

BASE = "/api/catalog/v1/entities"
CURATOR = Viewer(actor="user:maren", user_id=1, is_staff=True)


def written(
    name: str, *, kind: str = "Component", owner: str = "platform", **metadata: Any
) -> dict[str, Any]:
    """A document as somebody sends it."""
    spec: dict[str, Any] = {"type": "service", "lifecycle": "production", "owner": owner}
    if kind in ("System", "Domain"):
        spec = {"owner": owner}
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


class Api:
    """Our own API, with the token of a person; answers are those of Django's test client."""

    def __init__(self, user: Any = None, text: str = "cb_writer") -> None:
        self.user = user or StaffFactory(username="maren")
        TokenFactory(text=text, user=self.user)
        self.client = Client(headers={"Authorization": f"Bearer {text}"})

    def send(
        self, method: str, path: str, body: Any = None, *, type: str = "application/json", **headers: str
    ) -> Any:
        """``headers`` with underscores: ``if_match="*"``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        url = path if path.startswith("/") else f"{BASE}/{path}"
        return self.client.generic(method, url, data, content_type=type, headers=named)

    def put(self, path: str, body: Any, **headers: str) -> Any:
        return self.send("PUT", path, body, **headers)

    def get(self, path: str, **headers: str) -> Any:
        return self.send("GET", path, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.send("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.send("DELETE", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("POST", path, body, **headers)


def error(answer: Any, status: int) -> dict[str, Any]:
    """The error of an answer, which has a remedy."""
    assert answer.status_code == status, answer.content
    found: dict[str, Any] = answer.json()["error"]
    assert found["remedy"], found
    return found
