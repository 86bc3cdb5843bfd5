"""Locations: names of registered ones, and the targets of a Location entity."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from catalog.ingest.hosts import Hosts
from catalog.ingest.placeholders import join_path
from catalog.ingest.problems import Problem, pointer, shorten
from catalog.refs import LocationRef, is_script_url

Presence = Literal["required", "optional"]


def generated_name(location: LocationRef) -> str:
    """The name of the Location entity of a registration: ``generated-`` and the SHA-1 of ``type:target``."""
    digest = hashlib.sha1(str(location).encode(), usedforsecurity=False).hexdigest()
    return f"generated-{digest}"


def location_entity(location: LocationRef) -> dict[str, Any]:
    """The Location entity of a registration, before processing."""
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Location",
        "metadata": {"name": generated_name(location), "namespace": "default"},
        "spec": {"type": location.type, "target": location.target},
    }


def targets_of(
    entity: dict[str, Any], location: LocationRef, hosts: Hosts
) -> tuple[list[LocationRef], list[Problem]]:
    """The targets of a Location entity as absolute places: ``spec.target``, then ``spec.targets``, in their order.

    A missing type is that of the file it was read from. From an address only addresses can be named; from a file on
    disk also files, seen from that file.

    Args:
        entity: a valid Location.
        location: the file it stands in.
    """
    spec = entity["spec"]
    kind = spec.get("type") or location.type
    allowed = ("file", "url") if location.type == "file" else (location.type,)
    if kind not in allowed:
        # Double quotes in the list as in stock's message.
        words = ", ".join(f'"{name}"' for name in allowed)
        return [], [
            Problem(
                "catalog.location.type",
                f"Registered locations must be of an allowed type [{words}], found {kind}",
                "/spec/type",
                shorten(kind),
                remedy="Remove the type: the targets are then read as this file is.",
            )
        ]
    named: list[tuple[tuple[str | int, ...], str]] = (
        [(("spec", "target"), spec["target"])] if "target" in spec else []
    )
    named += [(("spec", "targets", index), target) for index, target in enumerate(spec.get("targets") or ())]
    places: list[LocationRef] = []
    problems: list[Problem] = []
    for path, target in named:
        try:
            places.append(_resolve(kind, target, location, hosts))
        except ValueError as error:
            problems.append(
                Problem(
                    "catalog.location.target",
                    f"The target {target} cannot be read: {error}",
                    pointer(*path),
                    shorten(target),
                    remedy="Write an http or https address, or a path seen from this file.",
                )
            )
    return places, problems


def presence_of(entity: dict[str, Any]) -> Presence:
    """Whether a missing target is an error."""
    return "optional" if entity["spec"].get("presence") == "optional" else "required"


def _resolve(kind: str, target: str, location: LocationRef, hosts: Hosts) -> LocationRef:
    if kind == "file":
        return LocationRef("file", target if target.startswith("/") else join_path(location.target, target))
    if kind != "url":
        return LocationRef(kind, target)
    if is_script_url(target):
        raise ValueError("it is a script")
    try:
        return LocationRef("url", hosts.resolve(target, location.target))
    except ValueError:
        if target == location.target:
            return location  # a registration of a repository as Git names it, such as git@host:team/shop
        raise
