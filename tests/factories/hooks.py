"""Webhooks, and hosts that send to them."""

from __future__ import annotations

import itertools
import json
from typing import Any

from django.test import Client
from django.urls import reverse

from catalog.ingest.pushes.signatures import plain_signature
from catalog.models import Hook, HookDelivery, Source
from catalog.services.hooks import create_hook
from portal.access.viewer import Viewer

SECRET = "the secret of the tests"
SYSTEM = Viewer.system("test")
_numbers = itertools.count(1)


def make_hook(
    provider: str = "github", *, name: str = "", sources: tuple[Source, ...] = (), **more: Any
) -> Hook:
    """An endpoint whose secret is :data:`SECRET`."""
    name = name or f"{provider} {next(_numbers)}"
    values = {"secret": SECRET, **more}
    return create_hook(actor=SYSTEM, name=name, provider=provider, sources=sources, **values).hook


def push(
    repository: str, branch: str = "main", *, default: str = "main", commit: str = "a" * 40
) -> dict[str, Any]:
    """What GitHub says of a push.

    Args:
        repository: address to clone it from.
    """
    return {
        "ref": branch if branch.startswith("refs/") else f"refs/heads/{branch}",
        "after": commit,
        "repository": {
            "full_name": "/".join(repository.removesuffix(".git").split("/")[-2:]),
            "clone_url": repository,
            "default_branch": default,
        },
    }


def deliver(
    hook: Hook, payload: Any, *, id: str = "", event: str = "push", secret: str = SECRET, **headers: str
) -> Any:
    """Send a delivery as GitHub does, and return the answer."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    sent = {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": id or f"delivery-{next(_numbers)}",
        "X-Hub-Signature-256": f"sha256={plain_signature(body, secret)}",
        **headers,
    }
    address = reverse("catalog-v1:deliver", args=[hook.pk])
    return Client().post(address, data=body, content_type="application/json", headers=sent)


def deliveries(hook: Hook) -> list[HookDelivery]:
    """Everything that came in, oldest first."""
    return list(HookDelivery.objects.unrestricted("test").filter(hook=hook).order_by("pk"))
