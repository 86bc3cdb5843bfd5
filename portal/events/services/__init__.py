"""Every write of this app."""

from portal.events.services.delivering import deliver_due
from portal.events.services.letters import drop, forget_old_deliveries, redeliver, redeliver_all
from portal.events.services.outbox import forget_old_events, publish, seal
from portal.events.services.subscriptions import (
    change_subscription,
    create_subscription,
    delete_subscription,
    ping,
    rotate_secret,
    switch_off,
    switch_on,
)

__all__ = [
    "change_subscription",
    "create_subscription",
    "delete_subscription",
    "deliver_due",
    "drop",
    "forget_old_deliveries",
    "forget_old_events",
    "ping",
    "publish",
    "redeliver",
    "redeliver_all",
    "rotate_secret",
    "seal",
    "switch_off",
    "switch_on",
]
