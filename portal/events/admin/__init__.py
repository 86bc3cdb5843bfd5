"""The outbox to look at; webhooks and dead letters to curate."""

from portal.events.admin.deliveries import DeliveryAdmin
from portal.events.admin.events import EventAdmin
from portal.events.admin.subscriptions import SubscriptionAdmin

__all__ = ["DeliveryAdmin", "EventAdmin", "SubscriptionAdmin"]
