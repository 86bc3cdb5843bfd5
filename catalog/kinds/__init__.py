"""The kinds of the catalog as data: shipped rows, and the registry that processing works with."""

from __future__ import annotations

from catalog.kinds.registry import (
    AnnotationDefinition,
    Kind,
    KindRegistry,
    KindVersion,
    RelationField,
    compile_schema,
    shipped_annotations,
    shipped_rows,
)

__all__ = [
    "AnnotationDefinition",
    "Kind",
    "KindRegistry",
    "KindVersion",
    "RelationField",
    "compile_schema",
    "shipped_annotations",
    "shipped_rows",
]
