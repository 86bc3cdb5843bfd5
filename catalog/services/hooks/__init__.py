"""Webhooks of Git hosts: endpoints with their secrets, deliveries, and the sources that a push is about."""

from catalog.services.hooks.keeping import (
    HookSecret,
    create_hook,
    delete_hook,
    rotate_secret,
    secrets_of,
    sources_named_by,
    update_hook,
)
from catalog.services.hooks.receiving import (
    Received,
    forget_old_deliveries,
    hook_of,
    outcome_body,
    receive_delivery,
    refused,
    replay_delivery,
)

__all__ = [
    "HookSecret",
    "Received",
    "create_hook",
    "delete_hook",
    "forget_old_deliveries",
    "hook_of",
    "outcome_body",
    "receive_delivery",
    "refused",
    "replay_delivery",
    "rotate_secret",
    "secrets_of",
    "sources_named_by",
    "update_hook",
]
