"""Curation of the catalog."""

from catalog.admin.bulk import BulkOperationAdmin
from catalog.admin.entity import EntityAdmin
from catalog.admin.hook import DeliveryAdmin, HookAdmin
from catalog.admin.kind import KindAdmin
from catalog.admin.problem import ProblemAdmin
from catalog.admin.removal import QuarantineAdmin, TombstoneAdmin
from catalog.admin.revision import AliasAdmin, RevisionAdmin
from catalog.admin.source import SourceAdmin, SyncAdmin
from catalog.admin.vocabulary import AnnotationAdmin, TagAdmin

__all__ = [
    "AliasAdmin",
    "AnnotationAdmin",
    "BulkOperationAdmin",
    "DeliveryAdmin",
    "EntityAdmin",
    "HookAdmin",
    "KindAdmin",
    "ProblemAdmin",
    "QuarantineAdmin",
    "RevisionAdmin",
    "SourceAdmin",
    "SyncAdmin",
    "TagAdmin",
    "TombstoneAdmin",
]
