"""Stored entities as descriptors that can be read again: without what the catalog itself adds."""

from __future__ import annotations

from typing import Any

import orjson
import yaml

from catalog.ingest.annotations import LOCATION, ORIGIN_LOCATION, ORPHAN, annotate
from catalog.ingest.sources.reach import known_hosts
from catalog.refs import RefError, parse_location_ref
from portal.connections.selectors import host_configs
from portal.core.yaml.scalars import core_scalar

_HEAD = """\
# Exported from Callboard. Each document is a descriptor; a source that reads this file declares the same entities.
"""
_WITHOUT_LOCATIONS = "# Locations are left out: what they lead to is here itself.\n"


class Descriptors:
    """Writes one export.

    Args:
        locations: whether Locations belong to it; read again, they lead to what they led to.
    """

    def __init__(self, *, locations: bool) -> None:
        self.locations = locations
        self.hosts = known_hosts(host_configs())

    @property
    def head(self) -> bytes:
        return (_HEAD + ("" if self.locations else _WITHOUT_LOCATIONS)).encode()

    def document(self, kind: str, text: str) -> bytes:
        """A stored document as a YAML document; empty for what is left out."""
        if kind == "location" and not self.locations:
            return b""
        body: str = yaml.dump(
            self.descriptor(orjson.loads(text)),
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            width=110,
            default_flow_style=False,
        )
        return f"---\n{body}".encode("utf-8", "replace")

    def descriptor(self, document: dict[str, Any]) -> dict[str, Any]:
        """What its author wrote, as far as that can be told."""
        metadata = {k: v for k, v in document["metadata"].items() if k not in ("uid", "etag")}
        annotations = metadata.pop("annotations", {})
        added = self._added(annotations)
        kept = {key: value for key, value in annotations.items() if added.get(key) != value and key != ORPHAN}
        if kept:
            metadata["annotations"] = kept
        rest = {k: v for k, v in document.items() if k not in ("metadata", "relations", "status")}
        head: dict[str, Any] = {k: rest.pop(k) for k in ("apiVersion", "kind") if k in rest}
        return {**head, "metadata": metadata, **rest}

    def _added(self, annotations: dict[str, Any]) -> dict[str, Any]:
        """What the catalog would add to an entity of the same place."""
        try:
            place = parse_location_ref(annotations[LOCATION])
            origin = parse_location_ref(annotations[ORIGIN_LOCATION])
            added: dict[str, Any] = annotate({}, place, origin, self.hosts)["annotations"]
        except (KeyError, RefError, ValueError, AttributeError, TypeError):
            return {key: annotations.get(key) for key in (LOCATION, ORIGIN_LOCATION)}
        return added


class _Dumper(yaml.CSafeDumper):
    """Texts of several lines as blocks; texts that YAML 1.2 reads as something else in quotes."""


def _text(dumper: yaml.representer.SafeRepresenter, value: str) -> yaml.ScalarNode:
    style = None
    if "\n" in value:
        style = "|"
    elif not isinstance(core_scalar(value), str):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
