"""The change feed and webhooks, below ``/api/events/v1/``."""

from __future__ import annotations

from django.urls import path

from portal.events.api import subscriptions as webhooks
from portal.events.api.views import EventsView, StreamView

app_name = "events-v1"
urlpatterns = [
    path("events", EventsView.as_view(), name="events"),
    path("stream", StreamView.as_view(), name="stream"),
    path("subscriptions", webhooks.SubscriptionsView.as_view(), name="subscriptions"),
    path("subscriptions/<uuid:key>", webhooks.SubscriptionView.as_view(), name="subscription"),
    path("subscriptions/<uuid:key>/ping", webhooks.PingView.as_view(), name="ping"),
    path("subscriptions/<uuid:key>/secret", webhooks.SecretView.as_view(), name="secret"),
    path("subscriptions/<uuid:key>/deliveries", webhooks.DeliveriesView.as_view(), name="deliveries"),
    path("subscriptions/<uuid:key>/redeliver", webhooks.RedeliverAllView.as_view(), name="redeliver-all"),
    path(
        "subscriptions/<uuid:key>/deliveries/<int:number>", webhooks.DeliveryView.as_view(), name="delivery"
    ),
    path(
        "subscriptions/<uuid:key>/deliveries/<int:number>/redeliver",
        webhooks.RedeliverView.as_view(),
        name="redeliver",
    ),
]
