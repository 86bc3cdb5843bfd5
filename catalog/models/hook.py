"""Endpoints to which Git hosts send their pushes, and what came in there."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from catalog.models.source import Source
from portal.access.querysets import RestrictedQuerySet


class Hook(models.Model):
    """An endpoint. Who sends proves that he knows its secret, which is kept elsewhere or sealed here."""

    class Provider(models.TextChoices):
        GITHUB = "github", "GitHub"
        GITLAB = "gitlab", "GitLab"
        GITEA = "gitea", "Gitea or Forgejo"
        BITBUCKET = "bitbucket", "Bitbucket"
        GENERIC = "generic", "Anything that signs (HMAC)"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True)
    provider = models.CharField(max_length=10, choices=Provider)
    enabled = models.BooleanField(default=True, help_text="Off, it refuses every delivery.")
    limited = models.BooleanField(
        default=False, editable=False, help_text="It reads only the sources that it names."
    )
    sources = models.ManyToManyField(
        Source, blank=True, related_name="+", help_text="What it may read; none chosen means all that match."
    )
    secret_ref = models.CharField(
        max_length=300,
        verbose_name="secret",
        blank=True,
        help_text="Where the secret is: env:NAME, file:PATH or vault:PATH#KEY. Empty: one is made and shown once.",
    )
    sealed_secret = models.TextField(blank=True, editable=False)
    previous_ref = models.CharField(max_length=300, blank=True, editable=False)
    previous_sealed = models.TextField(blank=True, editable=False)
    previous_until = models.DateTimeField(
        null=True, editable=False, help_text="Until then the former secret counts as well."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=200, blank=True, editable=False)
    last_delivery_at = models.DateTimeField(null=True, editable=False)
    refused_at = models.DateTimeField(
        null=True, editable=False, help_text="Last delivery whose signature was wrong; noted once a minute."
    )

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        verbose_name = "webhook"
        constraints = [
            models.CheckConstraint(
                condition=Q(secret_ref="") & ~Q(sealed_secret="") | ~Q(secret_ref="") & Q(sealed_secret=""),
                name="catalog_hook_has_one_secret",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class HookDelivery(models.Model):
    """One delivery, or a replay of one. Written together with the jobs that it queued.

    ``targets`` are objects with ``source``, ``name`` and ``job`` (empty where nothing was queued for that source).
    """

    class Verdict(models.TextChoices):
        QUEUED = "queued", "Sources are read"
        NOTHING = "nothing", "Nothing to do"
        PING = "ping", "Ping"
        NOTICE = "notice", "Repository moved or gone"
        UNREADABLE = "unreadable", "Not understood"

    hook = models.ForeignKey(Hook, on_delete=models.CASCADE, related_name="deliveries")
    delivery_id = models.CharField(max_length=200, help_text="As the host calls it.")
    attempt = models.PositiveIntegerField(default=0, help_text="0 as it came; further ones are replays.")
    actor = models.CharField(max_length=200, blank=True, help_text="Who replayed it.")
    event = models.CharField(max_length=150, blank=True)
    received_at = models.DateTimeField()
    verdict = models.CharField(max_length=10, choices=Verdict)
    message = models.CharField(max_length=500)
    repository = models.CharField(max_length=300, blank=True)
    branch = models.CharField(max_length=255, blank=True)
    commit = models.CharField(max_length=64, blank=True)
    targets = models.JSONField(default=list)
    duplicates = models.PositiveIntegerField(default=0, help_text="How often the same came again.")
    headers = models.JSONField(default=dict, help_text="Those that say what the body is.")
    body = models.BinaryField(help_text="As it came, compressed by zlib.")

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = "delivery"
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=("hook", "delivery_id", "attempt"), name="catalog_delivery_once"),
        ]
        indexes = [
            models.Index(fields=("hook", "-id"), name="catalog_delivery_hook"),
            models.Index(fields=("received_at",), name="catalog_delivery_received"),
        ]

    def __str__(self) -> str:
        return f"{self.event or 'delivery'} {self.delivery_id}"
