"""The jobs of the catalog: three lines each around a service."""

from __future__ import annotations
