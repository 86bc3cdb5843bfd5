"""What the catalog keeps."""

from catalog.models.attribute import AttributeKey, AttributeValue, EntityAttribute
from catalog.models.entity import Entity, EntityDocument, Relation
from catalog.models.kind import AnnotationDefinition, Kind, KindVersion, TagDefinition
from catalog.models.remote import RemoteEntry, RemoteReport
from catalog.models.removal import Quarantine, Tombstone
from catalog.models.source import Contender, Problem, Source, SourceFile, Sync
from catalog.models.version import DataVersion

__all__ = [
    "AnnotationDefinition",
    "AttributeKey",
    "AttributeValue",
    "Contender",
    "DataVersion",
    "Entity",
    "EntityAttribute",
    "EntityDocument",
    "Kind",
    "KindVersion",
    "Problem",
    "Quarantine",
    "Relation",
    "RemoteEntry",
    "RemoteReport",
    "Source",
    "SourceFile",
    "Sync",
    "TagDefinition",
    "Tombstone",
]
