"""What the catalog keeps."""

from catalog.models.attribute import AttributeKey, AttributeValue, EntityAttribute
from catalog.models.entity import Entity, EntityDocument, Relation
from catalog.models.hook import Hook, HookDelivery
from catalog.models.kind import AnnotationDefinition, Kind, KindVersion, TagDefinition
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
    "Hook",
    "HookDelivery",
    "Kind",
    "KindVersion",
    "Problem",
    "Quarantine",
    "Relation",
    "Source",
    "SourceFile",
    "Sync",
    "TagDefinition",
    "Tombstone",
]
