"""Annotations: those that the catalog sets, and the vocabulary (catalog format, fields the system sets)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from catalog.ingest.hosts import Hosts
from catalog.ingest.problems import Fix, Problem, pointer, shorten
from catalog.kinds import KindRegistry
from catalog.refs import LocationRef, is_script_url

LOCATION = "backstage.io/managed-by-location"
ORIGIN_LOCATION = "backstage.io/managed-by-origin-location"
VIEW_URL = "backstage.io/view-url"
EDIT_URL = "backstage.io/edit-url"
SOURCE_LOCATION = "backstage.io/source-location"
ORPHAN = "backstage.io/orphan"
# What stock shows in the place of an address that would run a script.
REFUSED_URL = "https://backstage.io/annotation-rejected-for-security-reasons"


@lru_cache(maxsize=2048)
def _derived(location: LocationRef, hosts: Hosts) -> dict[str, str]:
    if location.type != "url":
        return {}
    source = hosts.source_url(location.target)
    derived = {
        VIEW_URL: location.target,
        EDIT_URL: hosts.edit_url(location.target) or "",
        SOURCE_LOCATION: f"url:{source}" if source else "",
    }
    return {key: value for key, value in derived.items() if value}


def annotate(
    metadata: dict[str, Any], location: LocationRef, origin: LocationRef, hosts: Hosts
) -> dict[str, Any]:
    """A copy of ``metadata`` with the annotations that tell where the entity comes from.

    The two locations are forced; addresses to view and edit and the source folder are those that the author gave.

    Args:
        metadata: its annotations are a mapping, null or absent.
        location: the file.
        origin: the registration that led to it.
    """
    own = metadata.get("annotations")
    if own is not None and not isinstance(own, dict):
        return metadata  # a placeholder put something else there; the structural schema says so
    annotations = dict(_derived(location, hosts))
    annotations.update(own or {})
    annotations[LOCATION] = f"{location.type}:{location.target}"
    annotations[ORIGIN_LOCATION] = f"{origin.type}:{origin.target}"
    return {**metadata, "annotations": annotations}


def without_scripts(annotations: dict[str, Any]) -> dict[str, Any]:
    """The annotations with a harmless address where the one to view or edit would run a script."""
    bad = [key for key in (VIEW_URL, EDIT_URL) if key in annotations and is_script_url(str(annotations[key]))]
    return {**annotations, **dict.fromkeys(bad, REFUSED_URL)} if bad else annotations


def check_vocabulary(metadata: dict[str, Any], registry: KindRegistry) -> Iterator[Problem]:
    """Warnings about what the author wrote: annotations and tags that nobody declared, and outdated keys.

    Args:
        metadata: as written, before the catalog's own annotations came in.
    """
    annotations = metadata.get("annotations")
    for key, value in annotations.items() if isinstance(annotations, dict) else ():
        known = registry.annotations.get(key)
        if known is not None and not known.alias_of and not known.deprecated:
            continue
        path = pointer("metadata", "annotations", key)
        if known is None:
            yield Problem(
                "catalog.annotation.unknown",
                f"The annotation {key} is not known here",
                path,
                shorten(value),
                "warning",
                remedy="Check the spelling, or have a platform admin declare it.",
                at_key=True,
                fix=_near(key, registry),
            )
        elif known.alias_of:
            yield Problem(
                "catalog.annotation.alias",
                f"The annotation {key} is outdated",
                path,
                shorten(value),
                "warning",
                remedy=f"Write {known.alias_of}.",
                at_key=True,
                fix=Fix("replace", known.alias_of),
            )
        else:
            yield Problem(
                "catalog.annotation.deprecated",
                f"The annotation {key} is outdated: {known.description}",
                path,
                shorten(value),
                "warning",
                remedy="Remove it.",
                at_key=True,
            )
    tags = metadata.get("tags")
    if registry.tags is not None and isinstance(tags, list):
        for index, tag in enumerate(tags):
            if isinstance(tag, str) and tag not in registry.tags:
                yield Problem(
                    "catalog.tag.unknown",
                    f"The tag {tag} is not in the vocabulary",
                    pointer("metadata", "tags", index),
                    shorten(tag),
                    "warning",
                    remedy="Use a tag of the vocabulary, or have a platform admin add this one.",
                )


def _near(key: str, registry: KindRegistry) -> Fix | None:
    """A known key that differs in letter case or by one sign such as ``-`` for ``_`` only."""
    wanted = _folded(key)
    return next((Fix("replace", known) for known in registry.annotations if _folded(known) == wanted), None)


def _folded(key: str) -> str:
    return key.lower().replace("_", "-").replace(".", "-")
