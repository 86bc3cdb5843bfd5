"""Users and groups of trusted sources, as permissions see them."""

from __future__ import annotations

import hashlib

import orjson

from catalog.models import Entity, EntityDocument, Source
from catalog.services.publishing.plan import chunks
from catalog.services.sources import people_source
from portal.access.services import PersonData, sync_principals
from portal.access.viewer import Viewer

REASON = "a sync reads for the system"


def define_people(*, actor: Viewer, source: Source, anew: bool) -> None:
    """Users and groups of a trusted source also count for permissions (DESIGN, Identity and access).

    Args:
        anew: also where they are those that were defined last.
    """
    people, pairs = [], []
    entities = Entity.objects.unrestricted(REASON).filter(source=source, kind__in=("user", "group"))
    shown = sorted(entities.values_list("ref", "etag", "changed_at"))
    mark = hashlib.sha1(orjson.dumps(shown), usedforsecurity=False).hexdigest()
    if mark == source.people_mark and not anew:
        return
    Source.objects.filter(pk=source.pk).update(people_mark=mark)
    for part in chunks(list(entities.values_list("pk", "ref", "kind"))):
        texts = dict(
            EntityDocument.objects.unrestricted(REASON)
            .filter(pk__in=[pk for pk, _, _ in part])
            .values_list("pk", "text")
        )
        for pk, ref, kind in part:
            person, memberships = _person(ref, kind, texts[pk])
            people.append(person)
            pairs += memberships
    sync_principals(actor=actor, source=people_source(source.name), principals=people, memberships=pairs)


def _person(ref: str, kind: str, text: str) -> tuple[PersonData, list[tuple[str, str]]]:
    document = orjson.loads(text)
    profile = document["spec"].get("profile") or {}
    title = profile.get("displayName") or document["metadata"].get("title") or document["metadata"]["name"]
    pairs = []
    for relation in document["relations"]:
        if relation["type"] in ("memberOf", "childOf"):
            pairs.append((ref, relation["targetRef"]))
        elif relation["type"] in ("hasMember", "parentOf"):
            pairs.append((relation["targetRef"], ref))
    return PersonData(
        kind=kind, ref=ref, title=str(title)[:200], email=str(profile.get("email") or "")[:254]
    ), pairs
