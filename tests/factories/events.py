"""Webhooks and their deliveries."""

from __future__ import annotations

import uuid

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from portal.events.models import Delivery, Subscription
from portal.events.services.messages import sealed_secret

SECRET = "whsec_c2l4dGVlbiBieXRlcyBvZiBhIHNlY3JldCBmb3IgdGVzdHM="


class SubscriptionFactory(DjangoModelFactory[Subscription]):
    """Made by the system unless a ``user`` is given; its secret is ``SECRET``."""

    class Meta:
        model = Subscription

    name = factory.Sequence(lambda n: f"receiver {n}")
    url = "https://hooks.acme.example/callboard"
    created_by = "system:test"
    id = factory.LazyFunction(uuid.uuid4)
    secret = factory.LazyAttribute(lambda o: sealed_secret(Subscription(id=o.id), SECRET))


class DeliveryFactory(DjangoModelFactory[Delivery]):
    class Meta:
        model = Delivery

    subscription = factory.SubFactory(SubscriptionFactory)
    message_id = factory.LazyFunction(uuid.uuid4)
    position = factory.Sequence(lambda n: n + 1)
    type = "catalog.entity.changed"
    subject = "component:default/shop"
    body = '{"type":"catalog.entity.changed"}'
    state = Delivery.State.DELIVERED
    attempts = 1
    first_at = factory.LazyFunction(timezone.now)
    last_at = factory.LazyFunction(timezone.now)
