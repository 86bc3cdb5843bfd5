"""Receivers of webhooks, and verifying a signature as docs/admins/webhooks.md says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from portal.events.models import Subscription
from portal.events.services import publish, seal
from tests.factories.events import SubscriptionFactory
from tests.services.http_server import Reply, Seen, Server, serving


def verified(seen: Seen, secret: str) -> bool:
    """Whether one of the signatures was made with this secret."""
    message = f"{seen.headers['webhook-id']}.{seen.headers['webhook-timestamp']}.".encode() + seen.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    given = [part.removeprefix("v1,") for part in seen.headers["webhook-signature"].split(" ")]
    return any(hmac.compare_digest(expected, one) for one in given)


def subjects(server: Server) -> list[str]:
    return [json.loads(seen.body)["subject"] for seen in server.seen]


def happen(*names: str, type: str = "tests.happened") -> None:
    publish(events=[(type, name, {"n": name}) for name in names])
    seal()


@contextmanager
def receiver(
    answer: Callable[[Seen], Reply] = lambda seen: Reply(204), **values: Any
) -> Iterator[tuple[Server, Subscription]]:
    """A server and a subscription that sends to it."""
    with serving(answer) as server:
        yield server, SubscriptionFactory(url=f"{server.base}/hook", **values)
