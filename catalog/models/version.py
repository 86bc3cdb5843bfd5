"""Numbers that grow with every change, so that every process knows when what it remembers is old."""

from __future__ import annotations

from django.db import models


class DataVersion(models.Model):
    """``kinds`` grows with each change of kinds, annotations or tags; ``entities`` with each publication."""

    name = models.CharField(max_length=30, primary_key=True)
    value = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = "data version"

    def __str__(self) -> str:
        return f"{self.name} {self.value}"
