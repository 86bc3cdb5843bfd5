"""The outbox: what happened, for everybody who listens; and who is told of it by HTTP."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from portal.access.querysets import RestrictedQuerySet
from portal.core.fields import CodePointField


class RandomUUID(models.Func):
    """A new UUID made by the database: rows need not bring one, also those of a process that runs older code."""

    output_field = models.UUIDField()
    template = "GEN_RANDOM_UUID()"

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return super().as_sql(compiler, connection, template="LOWER(HEX(RANDOMBLOB(16)))", **extra)


class Event(models.Model):
    """One thing that happened, written in the transaction in which it happened.

    Readers see only rows with a ``position``; the sealer gives it in commit order, so a cursor never skips a row.
    Positions have no gaps. The newest row is never forgotten, so that numbers are not given twice.
    ``uid`` is what the world outside knows the event by: it says nothing about how many there are.
    """

    uid = models.UUIDField(db_default=RandomUUID(), editable=False)
    type = models.CharField(max_length=100, help_text="Such as catalog.entity.changed.")
    subject = models.CharField(max_length=300, help_text="What it happened to, usually a reference.")
    data = models.JSONField(default=dict)
    at = models.DateTimeField()
    position = models.BigIntegerField(null=True, unique=True, editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("position",)
        indexes = [models.Index(fields=("id",), name="event_unsealed", condition=Q(position__isnull=True))]

    def __str__(self) -> str:
        return f"{self.type} {self.subject}"


class Subscription(models.Model):
    """An address that is told of events, in order, until it says that it has them.

    ``position`` is the last event whose outcome is recorded. Whoever sends holds the lease and passes ``fence`` to
    every write, so that a sender that was thought dead cannot move the position.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = CodePointField(max_length=100, help_text="Short and unique, for people.")
    url = models.CharField("URL", max_length=2000, help_text="Where events are sent, by POST.")
    types = models.JSONField(
        default=list, blank=True, help_text="One a line, such as catalog.entity.*; none means all."
    )
    subjects = models.JSONField(
        default=list, blank=True, help_text="One a line, such as component:default/*; none means all."
    )
    enabled = models.BooleanField(default=True)
    reason = models.TextField(blank=True, help_text="Why it is off.")
    secret = models.TextField(editable=False)
    previous_secret = models.TextField(blank=True, editable=False)
    previous_until = models.DateTimeField(
        "old secret until",
        null=True,
        blank=True,
        editable=False,
        help_text="Until then the secret before this one signs as well.",
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="It gets what this person may see.",
    )
    created_by = models.CharField(max_length=200, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    revision = models.PositiveIntegerField(default=1, editable=False)
    position = models.BigIntegerField(default=0, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="Failed attempts in a row.")
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    next_try_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_ok_at = models.DateTimeField("last success", null=True, blank=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    fence = models.PositiveBigIntegerField(default=0, editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        verbose_name = "webhook"
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=("name",), name="events_subscription_name")]

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One event on its way to one subscription.

    Legal moves: (new) -> delivered | retrying | dead; retrying -> delivered | dead | dropped;
    dead -> again | dropped; again -> delivered | dead | dropped.
    ``retrying`` is the event the subscription waits at; ``again`` is a dead letter that is sent once more beside the
    order of the others. The body is kept while it may still be sent.
    """

    class State(models.TextChoices):
        DELIVERED = "delivered", "Delivered"
        RETRYING = "retrying", "Tried again soon"
        DEAD = "dead", "Dead letter"
        AGAIN = "again", "Sent again"
        DROPPED = "dropped", "Dropped"

    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, related_name="deliveries", verbose_name="webhook"
    )
    message_id = models.UUIDField(help_text="The same in every attempt; sent as webhook-id.")
    position = models.BigIntegerField()
    type = models.CharField(max_length=100)
    subject = models.CharField(max_length=300)
    body = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=State)
    attempts = models.PositiveIntegerField(default=0)
    status = models.PositiveIntegerField(null=True, blank=True, help_text="HTTP status of the last answer.")
    error = models.TextField(blank=True)
    milliseconds = models.PositiveIntegerField(default=0, help_text="That the last attempt took.")
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    next_try_at = models.DateTimeField(null=True, blank=True)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=("subscription", "message_id"), name="events_delivery_once")
        ]
        indexes = [
            models.Index(fields=("subscription", "-id"), name="events_delivery_newest"),
            models.Index(fields=("state", "-id"), name="events_delivery_state"),
            models.Index(fields=("next_try_at",), name="events_delivery_again", condition=Q(state="again")),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.subject}"
