"""Showing that nothing is lost: an installation under load whose processes and servers fail.

What is promised and how it is run: docs/operators/faults.md.
"""

from __future__ import annotations
