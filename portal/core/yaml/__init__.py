"""YAML as Backstage reads it: YAML 1.2, JSON values, every document for itself, every value with its line.

``load_documents`` is for descriptor files, ``load`` for a file that holds one document.
"""

from __future__ import annotations

from portal.core.yaml.errors import Place, YamlError
from portal.core.yaml.reader import DEFAULT_LIMITS, Document, Limits, load, load_documents
from portal.core.yaml.scalars import js_number, js_string

__all__ = [
    "DEFAULT_LIMITS",
    "Document",
    "Limits",
    "Place",
    "YamlError",
    "js_number",
    "js_string",
    "load",
    "load_documents",
]
