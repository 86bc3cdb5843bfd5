"""Where entities come from, each reading of it, and what was wrong there."""

from __future__ import annotations

import uuid

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from portal.access.querysets import RestrictedQuerySet
from portal.core.fields import CodePointField


class Source(models.Model):
    """A registered place that is read regularly. For stock clients it is a location with the same id."""

    class Type(models.TextChoices):
        URL = "url", "Address of a file (also on a Git host)"
        GIT = "git", "Git repository"
        FILE = "file", "File or folder on this machine"
        REMOTE = "remote", "Another instance"
        MANAGED = "managed", "Kept here, written over REST"

    class RegisteredBy(models.TextChoices):
        API = "api", "REST"
        ADMIN = "admin", "Admin"
        COMMAND = "command", "Command line"
        SETTINGS = "settings", "Settings"

    class Presence(models.TextChoices):
        REQUIRED = "required", "Has to be there"
        OPTIONAL = "optional", "May be absent"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    type = models.CharField(max_length=10, choices=Type, default=Type.URL)
    target = models.CharField(
        max_length=2000,
        help_text="Address, repository, folder, file or pattern; of another instance https://HOST/api/catalog.",
    )
    branch = models.CharField(
        max_length=200, blank=True, help_text="Git: branch or tag; empty means the default branch."
    )
    pattern = models.CharField(
        max_length=300,
        blank=True,
        help_text="Which files, such as **/catalog-info.yaml. Empty means the usual names. Of another instance: which "
        "entities, such as kind=component,kind=api. Empty means all.",
    )
    view_url = models.URLField(
        max_length=500,
        blank=True,
        verbose_name="portal",
        help_text="Another instance: address of its pages, for links to its entities. Empty for none.",
    )
    entity_ref = CodePointField(
        max_length=200, help_text="Reference of the Location entity that stands for it."
    )
    registered_by = models.CharField(max_length=10, choices=RegisteredBy, default=RegisteredBy.ADMIN)
    registered_actor = models.CharField(max_length=200, blank=True, editable=False)
    presence = models.CharField(max_length=10, choices=Presence, default=Presence.REQUIRED)
    allowed_kinds = models.JSONField(
        default=list, blank=True, help_text="Kinds it may bring; empty means the default ones."
    )
    may_define_people = models.BooleanField(
        default=False,
        verbose_name="may define people and groups",
        help_text="Its users and groups also count for permissions. Only for sources that you trust with that.",
    )
    priority = models.IntegerField(
        default=100, help_text="When two sources declare one entity, the smaller number wins."
    )
    enabled = models.BooleanField(default=True)
    interval = models.PositiveIntegerField(
        default=300, help_text="Seconds between two readings; 0 for only on demand."
    )
    stale_after = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.01)],
        verbose_name="stale after days",
        help_text="Days without a good reading after which its entities count as stale; empty means the usual time.",
    )
    version = models.CharField(
        max_length=200, blank=True, editable=False, help_text="Commit or fingerprint last read."
    )
    people_mark = models.CharField(
        max_length=40,
        blank=True,
        default="",
        editable=False,
        help_text="Of the people and groups it last defined.",
    )
    state = models.CharField(max_length=20, default="new", editable=False)
    reading_job = models.UUIDField(
        null=True, editable=False, help_text="The job that reads it now: one at a time."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_sync_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_success_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    failures = models.PositiveIntegerField(
        default=0, editable=False, help_text="Readings in a row that failed, up to the last one."
    )
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(
                fields=("type", "target", "branch", "pattern"), name="catalog_source_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def last_version(self) -> str:
        """The commit or fingerprint last read; empty while or after a sync that wrote only a part."""
        return "" if self.version.startswith("writing:") else self.version.rpartition(":")[2]

    @property
    def location_ref(self) -> str:
        """``type:target`` as the catalog writes it into annotations."""
        return f"{'file' if self.type == self.Type.FILE else 'url'}:{self.target}"


class SourceFile(models.Model):
    """A file as it was last read, so that a source of which nothing changed needs no transfer."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="files")
    url = models.CharField(max_length=2000)
    version = models.CharField(max_length=200, blank=True, help_text="ETag or commit.")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the content, which is not kept.")
    mark = models.CharField(
        max_length=200,
        blank=True,
        default="",
        help_text="What its place calls this content, as Git's object id.",
    )
    commit = models.CharField(
        max_length=64, blank=True, default="", help_text="The first commit with this content."
    )
    record = models.TextField(
        blank=True, default="", help_text="What came of it, for as long as it is the same."
    )

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("source", "url"), name="catalog_source_file_once")]

    def __str__(self) -> str:
        return self.url


class Sync(models.Model):
    """One reading of a source, and what it came to."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        UNCHANGED = "unchanged", "Unchanged"
        DONE = "done", "Done"
        PARTIAL = "partial", "Done, with problems"
        FAILED = "failed", "Failed"

    class Outcome(models.TextChoices):
        SUCCESS = "success", "Read"
        FAILED = "failed", "Failed"
        OUTAGE = "outage", "Host away"
        INTERRUPTED = "interrupted", "Interrupted"

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="syncs")
    job_id = models.UUIDField(null=True, blank=True, db_index=True)
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    outcome = models.CharField(
        max_length=12,
        blank=True,
        choices=Outcome,
        help_text="How it counts; an outage of the host and a worker that stopped are no failures of the source.",
    )
    actor = models.CharField(max_length=200)
    version = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField(db_index=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    files = models.PositiveIntegerField(default=0)
    documents = models.PositiveIntegerField(default=0)
    entities = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    removed = models.PositiveIntegerField(default=0)
    problems = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("-started_at",)
        indexes = [models.Index(fields=("source", "-started_at"), name="catalog_sync_source")]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="running", finished_at__isnull=True)
                | ~Q(state="running") & Q(finished_at__isnull=False),
                name="catalog_sync_finished_when_over",
            )
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.started_at:%Y-%m-%d %H:%M}"


class Problem(models.Model):
    """Something in a source that a person should mend: place, rule and remedy."""

    class Severity(models.TextChoices):
        ERROR = "error", "Error"
        WARNING = "warning", "Warning"

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="problem_set")
    fingerprint = models.CharField(max_length=40, help_text="Same source, place and rule: the same problem.")
    severity = models.CharField(max_length=10, choices=Severity, default=Severity.ERROR)
    rule = models.CharField(max_length=100, db_index=True, help_text="Stable name of the rule.")
    message = models.TextField()
    remedy = models.TextField(blank=True)
    entity_ref = CodePointField(max_length=260, blank=True)
    owner_ref = CodePointField(max_length=260, blank=True, help_text="Who should mend it, where known.")
    url = models.CharField(max_length=2000, blank=True)
    document = models.PositiveIntegerField(null=True, blank=True)
    line = models.PositiveIntegerField(null=True, blank=True)
    column = models.PositiveIntegerField(null=True, blank=True)
    path = models.CharField(max_length=500, blank=True, help_text="Field, as a JSON pointer.")
    value = models.TextField(blank=True)
    source_line = models.TextField(blank=True)
    corrected_line = models.TextField(blank=True)
    error_name = models.CharField(max_length=60, blank=True)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("source", "url", "document", "line", "id")
        constraints = [models.UniqueConstraint(fields=("source", "fingerprint"), name="catalog_problem_once")]
        indexes = [
            models.Index(fields=("entity_ref",), name="catalog_problem_entity"),
            models.Index(fields=("owner_ref",), name="catalog_problem_owner"),
        ]

    def __str__(self) -> str:
        return f"{self.rule} at {self.url}:{self.line or 1}"


class Contender(models.Model):
    """A further place that declares an entity which another place already declares.

    The same file read a second time (``same_file``) is no conflict: whichever reading remains keeps the entity. A
    different file is one, and the entity stays with whoever has the better priority, then with whoever was first.
    """

    entity_ref = CodePointField(max_length=200)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="contenders")
    parent_ref = CodePointField(max_length=200, blank=True, help_text="The Location that led there.")
    url = models.CharField(max_length=2000)
    document = models.PositiveIntegerField(default=0)
    line = models.PositiveIntegerField(default=1)
    same_file = models.BooleanField(default=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("entity_ref", "id")
        indexes = [models.Index(fields=("entity_ref",), name="catalog_contender_entity")]

    def __str__(self) -> str:
        return f"{self.entity_ref} at {self.url}"


class Claim(models.Model):
    """Since when a source declares an entity that another one declares too. It decides between equal priorities."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="claims", editable=False)
    entity_ref = CodePointField(max_length=200, editable=False)
    since = models.DateTimeField(editable=False)

    objects = RestrictedQuerySet.as_manager()

    class Meta:
        ordering = ("entity_ref", "since")
        constraints = [models.UniqueConstraint(fields=("entity_ref", "source"), name="catalog_claim_once")]

    def __str__(self) -> str:
        return f"{self.entity_ref} since {self.since}"
