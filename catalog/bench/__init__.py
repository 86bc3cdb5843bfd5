"""Catalogs of any size for measuring, made up and always the same for one seed."""

from __future__ import annotations

from catalog.bench.generate import generate, kind_counts, write_tree

__all__ = ["generate", "kind_counts", "write_tree"]
