"""Showing that nothing is lost: an installation under load whose processes and servers fail (docs/operators/faults.md)."""

from __future__ import annotations
