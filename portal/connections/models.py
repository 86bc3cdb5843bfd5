"""Hosts that Callboard may talk to, and which credential it uses there."""

from __future__ import annotations

from django.db import models

from portal.access.querysets import RestrictedQuerySet


class Connection(models.Model):
    """One host (and part of it), with a reference to a credential, never the credential itself."""

    class Kind(models.TextChoices):
        GITHUB = "github", "GitHub"
        GITLAB = "gitlab", "GitLab"
        BITBUCKET = "bitbucket", "Bitbucket Cloud"
        BITBUCKET_SERVER = "bitbucket-server", "Bitbucket Data Center"
        AZURE = "azure", "Azure DevOps"
        GITEA = "gitea", "Gitea or Forgejo"
        GERRIT = "gerrit", "Gerrit"
        PLAIN = "plain", "Plain HTTP or Git server"

    class ReadOver(models.TextChoices):
        GIT = "git", "Git (one fetch a repository)"
        API = "api", "The host's own file API"

    name = models.SlugField(max_length=60, unique=True)
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.PLAIN)
    host = models.CharField(max_length=255, help_text="Host name, with a port where it is not the usual one.")
    base_url = models.URLField(blank=True, help_text="Address of the web pages; empty means https://HOST.")
    api_url = models.URLField(
        blank=True, help_text="Address of the API; empty means the usual one of this kind."
    )
    read_over = models.CharField(max_length=5, choices=ReadOver, default=ReadOver.GIT)
    allowed_prefixes = models.JSONField(
        default=list,
        blank=True,
        help_text='Paths that may be read, such as ["/acme/"]. Empty means all of the host.',
    )
    purposes = models.JSONField(default=list, blank=True, help_text='Of "read", "publish", "trigger".')
    username = models.CharField(max_length=100, blank=True)
    credential = models.CharField(
        max_length=300,
        blank=True,
        help_text="Where the secret is: env:NAME, file:PATH or vault:PATH#KEY. Empty for none.",
    )
    allow_private = models.BooleanField(
        default=False,
        help_text="The host may have an internal address. Needed for servers in your own network.",
    )
    rate_per_minute = models.PositiveIntegerField(
        default=0,
        help_text="Most calls a minute, of all sources and processes together. 0 means no limit.",
    )
    enabled = models.BooleanField(default=True)
    failures = models.PositiveIntegerField(default=0, editable=False)
    open_until = models.DateTimeField(null=True, blank=True, editable=False)
    next_call_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="No call goes out before; as the budget or the host says.",
    )
    last_ok_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=("host", "name"), name="connections_host_name")]
        indexes = [models.Index(fields=("host",), name="connections_host")]

    def __str__(self) -> str:
        return self.name
