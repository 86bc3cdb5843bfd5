"""Kinds as data."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from catalog.kinds import KindRegistry, compile_schema, shipped_annotations, shipped_rows
from portal.core.errors import InputError


def test_the_shipped_kinds_are_those_of_the_catalog_format() -> None:
    registry = KindRegistry.shipped()
    assert set(registry.kinds) == {
        "AiResource",
        "API",
        "Component",
        "Domain",
        "Group",
        "Location",
        "Resource",
        "System",
        "Template",
        "User",
    }
    for name, kind in registry.kinds.items():
        expected = {
            "Template": ("scaffolder.backstage.io/v1beta3",),
            "AiResource": ("backstage.io/v1alpha1",),
        }.get(name, ("backstage.io/v1alpha1", "backstage.io/v1beta1"))
        assert kind.api_versions == expected
        assert kind.description and kind.plural


def test_icons_are_in_the_sprite() -> None:
    sprite = Path(__file__).parents[3] / "static" / "portal" / "icons.svg"
    candidates = [sprite, *Path(__file__).parents[3].glob("static/**/icons.svg")]
    found = [path for path in candidates if path.is_file()]
    if not found:
        pytest.skip("no sprite in this checkout")
    names = set(re.findall(r'<symbol[^>]* id="([^"]+)"', found[0].read_text("utf-8")))
    assert {kind.icon for kind in KindRegistry.shipped().kinds.values()} <= names


def test_kind_and_version_are_compared_with_case() -> None:
    registry = KindRegistry.shipped()
    assert registry.lookup("Component", "backstage.io/v1alpha1") is not None
    assert registry.lookup("component", "backstage.io/v1alpha1") is None
    assert registry.lookup("Component", "Backstage.io/v1alpha1") is None
    assert registry.lookup(["Component"], {}) is None


def test_annotations_have_keys_of_the_format_and_aliases_that_exist() -> None:
    registry = KindRegistry.shipped()
    assert len(registry.annotations) == len(shipped_annotations()) > 60
    for definition in registry.annotations.values():
        assert definition.description and definition.value_type in ("text", "url", "ref", "boolean")
        assert not definition.alias_of or definition.alias_of in registry.annotations


def test_building_a_registry_is_cheap_and_shares_compiled_schemas() -> None:
    KindRegistry.from_rows(shipped_rows())
    rows = shipped_rows()
    started = time.perf_counter()
    one = KindRegistry.from_rows(rows)
    assert time.perf_counter() - started < 0.5
    two = KindRegistry.from_rows(shipped_rows())
    first, second = one.lookup("API", "backstage.io/v1beta1"), two.lookup("API", "backstage.io/v1alpha1")
    assert first is not None and second is not None and first.validator is second.validator


def test_a_registry_can_be_used_by_many_threads() -> None:
    version = KindRegistry.shipped().lookup("System", "backstage.io/v1alpha1")
    assert version is not None
    with ThreadPoolExecutor(8) as pool:
        valid = list(
            pool.map(lambda n: version.validator.is_valid({"spec": {"owner": "x" * (n % 2)}}), range(400))
        )
    assert valid == [False, True] * 200


def test_a_spec_type_has_a_schema_of_its_own() -> None:
    version = KindRegistry.shipped().lookup("API", "backstage.io/v1alpha1")
    assert version is not None
    assert (
        version.schema_for("mcp-server")
        != version.schema_for("openapi")
        == version.schema_for(None)
        == version.schema_for([])
    )


def row(**values: Any) -> dict[str, Any]:
    return {
        "kind": "Thing",
        "versions": [{"api_versions": ["acme.io/v1"], "schema": {"type": "object"}}],
        **values,
    }


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([{"kind": "Thing"}], "catalog.kind.definition"),
        ([row(versions=[{"schema": {}}])], "catalog.kind.definition"),
        ([row(relations=[{"path": "spec.x"}])], "catalog.kind.definition"),
        ([row(), row()], "catalog.kind.duplicate"),
        ([row(versions=[{"api_version": "a/v1", "schema": {"type": "strin"}}])], "catalog.kind.schema"),
        ([row(versions=[{"api_version": "a/v1", "schema": {"pattern": "("}}])], "catalog.kind.schema"),
    ],
)
def test_a_bad_definition_is_explained(rows: list[dict[str, Any]], code: str) -> None:
    with pytest.raises(InputError) as caught:
        KindRegistry.from_rows(rows)
    assert caught.value.code == code and caught.value.remedy


def test_a_schema_cannot_fetch_another_or_take_long() -> None:
    with pytest.raises(InputError, match="JSON Schema"):
        compile_schema({"$ref": "http://127.0.0.1:1/schema.json"})
    validator = compile_schema({"pattern": "^(a+)+$"})
    started = time.perf_counter()
    assert not validator.is_valid("a" * 5000 + "!")
    assert time.perf_counter() - started < 1
