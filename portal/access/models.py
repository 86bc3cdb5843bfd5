"""People, the identities that permission knows, and their tokens."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models import F, Q

from portal.access.querysets import RestrictedQuerySet


class PersonManager(UserManager.from_queryset(RestrictedQuerySet)):  # type: ignore[misc]  # dynamic base of Django's own
    """People. Sign-in has to look somebody up before anybody is known, so these reads are not guarded."""

    def get_queryset(self) -> RestrictedQuerySet[User]:
        return super().get_queryset().unrestricted("sign-in looks people up")


class User(AbstractUser):
    """A person who signs in.

    ``external_id`` never changes: other systems and exports refer to it, never to the key or the name.
    """

    external_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    objects: ClassVar[PersonManager] = PersonManager()

    class Meta:
        verbose_name = "person"
        verbose_name_plural = "people"
        ordering = ("username",)

    def __str__(self) -> str:
        return self.get_full_name() or self.username


class Principal(models.Model):
    """An identity that permissions are about: a person, a group or a service.

    Catalog rows never grant anything; a principal may carry the same reference as a catalog entity, that is all.
    """

    class Kind(models.TextChoices):
        USER = "user", "Person"
        GROUP = "group", "Group"
        SERVICE = "service", "Service"

    kind = models.CharField(max_length=10, choices=Kind)
    ref = models.CharField(
        max_length=200, unique=True, help_text="Canonical reference, such as group:default/bookings."
    )
    title = models.CharField(max_length=200, blank=True)
    email = models.EmailField(blank=True, db_index=True)
    user = models.OneToOneField(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="principal"
    )
    source = models.CharField(
        max_length=200, help_text="Who says so: admin, an identity provider, a catalog source."
    )
    active = models.BooleanField(default=True)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("ref",)
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=True) | ~Q(kind="group"), name="access_principal_group_is_no_person"
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.ref


class Membership(models.Model):
    """``member`` belongs to ``group``, because ``source`` says so."""

    member = models.ForeignKey(Principal, on_delete=models.CASCADE, related_name="memberships")
    group = models.ForeignKey(Principal, on_delete=models.CASCADE, related_name="members")
    source = models.CharField(max_length=200)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=("member", "group", "source"), name="access_membership_once_per_source"
            ),
            models.CheckConstraint(condition=~Q(member=F("group")), name="access_membership_not_of_itself"),
        ]

    def __str__(self) -> str:
        return f"{self.member} in {self.group}"


class Token(models.Model):
    """A bearer token. Only its hash is kept; the text is shown once."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100, help_text="What it is for.")
    prefix = models.CharField(max_length=12, help_text="The first characters, to tell tokens apart.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(
        default=list, blank=True, help_text="Actions it is limited to; empty means no limit."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class BrowserSession(models.Model):
    """What a person is told about one of their sessions. It goes with the row of the session itself.

    ``session`` is the secret of the browser: it is never shown, the number of this row stands for it.
    """

    session = models.OneToOneField(Session, on_delete=models.CASCADE, editable=False, related_name="seen_as")
    user = models.ForeignKey(User, on_delete=models.CASCADE, editable=False, related_name="browser_sessions")
    address = models.CharField(max_length=64, blank=True, editable=False)
    agent = models.CharField(max_length=300, blank=True, editable=False, help_text="As the browser says.")
    created_at = models.DateTimeField(editable=False)
    seen_at = models.DateTimeField(editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("-seen_at", "-id")
        verbose_name = "session"

    def __str__(self) -> str:
        return f"session {self.pk}"


class IdempotentAnswer(models.Model):
    """The answer to a POST that named an ``Idempotency-Key``, so that sending it again does nothing twice.

    ``status`` is null while the request is under way, until ``lease_until`` at the latest.
    """

    actor = models.CharField(max_length=200, editable=False)
    key = models.CharField(max_length=200, editable=False)
    digest = models.CharField(max_length=64, editable=False, help_text="Of method, address and body.")
    status = models.PositiveSmallIntegerField(null=True, editable=False)
    headers = models.JSONField(default=dict, editable=False)
    body = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    lease_until = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("actor", "key"), name="access_idempotent_once")]
        indexes = [models.Index(fields=("expires_at",), name="access_idempotent_expires")]

    def __str__(self) -> str:
        return f"{self.key} of {self.actor}"


class Rule(models.Model):
    """Who may do what with which rows, as data. What no rule allows is not allowed; one that denies wins.

    Rules of ``effect`` allow add up. People with superuser rights and the system itself need none.
    """

    class Effect(models.TextChoices):
        ALLOW = "allow", "Allow"
        DENY = "deny", "Deny"

    class Audience(models.TextChoices):
        EVERYONE = "everyone", "Everybody who is signed in"
        CURATORS = "curators", "Curators (staff)"
        CHOSEN = "chosen", "The people and groups below"

    name = models.CharField(max_length=100, help_text="Shown to whoever asks why something is not allowed.")
    description = models.TextField(blank=True, help_text="Why it is there, for the next curator.")
    enabled = models.BooleanField(default=True)
    effect = models.CharField(max_length=5, choices=Effect, default=Effect.ALLOW)
    resource = models.CharField(max_length=100, default="catalog.entity", help_text="What it is about.")
    actions = models.JSONField(default=list, help_text="What may be done, or may not.")
    audience = models.CharField(max_length=8, choices=Audience, default=Audience.CHOSEN)
    principals = models.ManyToManyField(
        Principal,
        blank=True,
        related_name="rules",
        help_text="Members of a group and of those below it count, too.",
    )
    expression = models.TextField(blank=True, help_text="CEL: for which rows it holds; empty for all.")
    expires_at = models.DateTimeField(null=True, blank=True, help_text="It ends then by itself.")
    shipped = models.CharField(
        max_length=100,
        blank=True,
        editable=False,
        help_text="Key of a rule that comes with Callboard; it can be switched off.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(fields=("name",), name="access_rule_name"),
            models.UniqueConstraint(
                fields=("shipped",), condition=~Q(shipped=""), name="access_rule_shipped"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AccessVersion(models.Model):
    """The number of the last change to people, memberships or rules; what processes remember of these counts under it.

    One row, key 1.
    """

    number = models.BigIntegerField(default=0)

    objects = RestrictedQuerySet.as_manager()

    def __str__(self) -> str:
        return str(self.number)
