"""Which extensions are switched off."""

from __future__ import annotations

from django.db import models

from portal.core.querysets import GuardedQuerySet


class ExtensionState(models.Model):
    """The switch of one extension. No row means on."""

    key = models.CharField(max_length=200, unique=True, help_text="Point and name, such as entity_tab:api.")
    enabled = models.BooleanField(default=True)
    changed_by = models.CharField(max_length=200)
    changed_at = models.DateTimeField(auto_now=True)

    objects = GuardedQuerySet.as_manager()

    class Meta:
        verbose_name = "extension switch"
        ordering = ("key",)

    def __str__(self) -> str:
        return f"{self.key} is {'on' if self.enabled else 'off'}"
