"""What the catalog keeps."""

from catalog.models.attribute import AttributeKey, AttributeValue, EntityAttribute
from catalog.models.bulk import BulkItem, BulkOperation
from catalog.models.entity import Entity, EntityDocument, Relation
from catalog.models.health import MissingTarget, SyncCount
from catalog.models.hook import Hook, HookDelivery
from catalog.models.kind import AnnotationDefinition, Kind, KindVersion, TagDefinition
from catalog.models.managed import KeptDocument
from catalog.models.remote import RemoteEntry, RemoteReport
from catalog.models.removal import Quarantine, Tombstone
from catalog.models.revision import Alias, Revision, RevisionAttribute, RevisionRelation
from catalog.models.source import Claim, Contender, Problem, Source, SourceFile, Sync
from catalog.models.version import DataVersion

__all__ = [
    "Alias",
    "AnnotationDefinition",
    "AttributeKey",
    "AttributeValue",
    "BulkItem",
    "BulkOperation",
    "Claim",
    "Contender",
    "DataVersion",
    "Entity",
    "EntityAttribute",
    "EntityDocument",
    "Hook",
    "HookDelivery",
    "KeptDocument",
    "Kind",
    "KindVersion",
    "MissingTarget",
    "Problem",
    "Quarantine",
    "Relation",
    "RemoteEntry",
    "RemoteReport",
    "Revision",
    "RevisionAttribute",
    "RevisionRelation",
    "Source",
    "SourceFile",
    "Sync",
    "SyncCount",
    "TagDefinition",
    "Tombstone",
]
