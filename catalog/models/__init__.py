"""What the catalog keeps."""

from catalog.models.attribute import AttributeKey, AttributeValue, EntityAttribute
from catalog.models.entity import Entity, EntityDocument, Relation
from catalog.models.health import MissingTarget, SyncCount
from catalog.models.hook import Hook, HookDelivery
from catalog.models.kind import AnnotationDefinition, Kind, KindVersion, TagDefinition
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
    "Claim",
    "Contender",
    "DataVersion",
    "Entity",
    "EntityAttribute",
    "EntityDocument",
    "Hook",
    "HookDelivery",
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
