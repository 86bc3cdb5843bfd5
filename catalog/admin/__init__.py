"""Curation of the catalog."""

from catalog.admin.bulk import BulkOperationAdmin
from catalog.admin.entity import EntityAdmin
from catalog.admin.kind import KindAdmin
from catalog.admin.problem import ProblemAdmin
from catalog.admin.removal import QuarantineAdmin, TombstoneAdmin
from catalog.admin.source import SourceAdmin, SyncAdmin
from catalog.admin.vocabulary import AnnotationAdmin, TagAdmin

__all__ = [
    "AnnotationAdmin",
    "BulkOperationAdmin",
    "EntityAdmin",
    "KindAdmin",
    "ProblemAdmin",
    "QuarantineAdmin",
    "SourceAdmin",
    "SyncAdmin",
    "TagAdmin",
    "TombstoneAdmin",
]
