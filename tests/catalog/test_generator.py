"""The generated catalogs that measurements run on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.bench import generate, kind_counts, write_tree
from catalog.ingest.documents import process_file
from catalog.ingest.hosts import Hosts
from catalog.kinds import KindRegistry
from catalog.refs import LocationRef, canonical, parse_ref
from portal.core.yaml import load, load_documents

REGISTRY = KindRegistry.shipped()


def entities(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    for path, text in generate(count, seed):
        for document in load_documents(text):
            assert document.error is None, (path, document.error)
            yield document.value


def no_files(place: LocationRef) -> bytes:
    raise AssertionError(f"{place} was asked for; generated files have no placeholders")


def ref_of(entity: dict[str, Any]) -> str:
    metadata = entity["metadata"]
    return canonical(entity["kind"], metadata.get("namespace", "default"), metadata["name"])


def targets_of(entity: dict[str, Any]) -> Iterator[str]:
    version = REGISTRY.lookup(entity["kind"], entity["apiVersion"])
    assert version is not None
    for field in version.relations:
        value: Any = entity
        for key in field.path:
            value = value.get(key, [])
        for text in [value] if isinstance(value, str) else value:
            namespace = entity["metadata"].get("namespace", "default")
            yield parse_ref(text, default_kind=field.default_kind, default_namespace=namespace).canonical


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 20, 21, 333, 2000])
def test_a_catalog_has_exactly_as_many_entities_as_asked_for(count: int) -> None:
    assert Counter(entity["kind"] for entity in entities(count)) == Counter(kind_counts(count))
    assert sum(kind_counts(count).values()) == count


def test_a_catalog_is_made_up_like_that_of_a_company() -> None:
    assert kind_counts(10_000) == {
        "Component": 6000,
        "API": 1500,
        "Resource": 1200,
        "User": 800,
        "System": 300,
        "Group": 150,
        "Domain": 50,
    }


@settings(max_examples=25, deadline=None)
@given(count=st.integers(0, 300), seed=st.integers())
def test_every_reference_is_unique_and_every_target_exists(count: int, seed: int) -> None:
    made = list(entities(count, seed))
    refs = {ref_of(entity) for entity in made}
    assert len(refs) == len(made) == count
    assert [target for entity in made for target in targets_of(entity) if target not in refs] == []


def test_names_stay_unique_when_the_words_are_used_up() -> None:
    head = re.compile(r"^kind: (\w+)\nmetadata:\n  name: (\S+)$", re.MULTILINE)
    names = [name for _, text in generate(20_000) for name in head.findall(text)]
    assert len(set(names)) == len(names) == 20_000


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert list(generate(500)) == list(generate(500, seed=1))
    assert list(generate(500)) != list(generate(500, seed=2))


def test_a_catalog_is_streamed() -> None:
    path, text = next(iter(generate(5_000_000)))  # the whole of it would be 5 GB
    assert path.endswith("/catalog-info.yaml")
    assert text.startswith("apiVersion: ")


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 entities"):
        next(generate(-1))


def test_every_entity_is_processed_without_a_problem() -> None:
    place = LocationRef("file", "/srv/bench/catalog-info.yaml")
    outcomes = [
        outcome
        for _, text in generate(1500)
        for outcome in process_file(
            text.encode(),
            location=place,
            origin=place,
            registry=REGISTRY,
            hosts=Hosts(),
            read_placeholder=no_files,
        )
    ]
    assert [outcome.problems for outcome in outcomes if outcome.problems] == []
    assert len({outcome.ref for outcome in outcomes if outcome.processed}) == 1500


def test_ownership_is_uneven_and_fields_vary() -> None:
    components = [entity for entity in entities(4000) if entity["kind"] == "Component"]
    owners = Counter(entity["spec"]["owner"] for entity in components)
    first, tenth = owners.most_common(10)[0][1], owners.most_common(10)[9][1]
    assert first > 3 * tenth > 0
    assert {entity["spec"]["lifecycle"] for entity in components} == {
        "production",
        "experimental",
        "deprecated",
    }
    assert len({entity["spec"]["type"] for entity in components}) >= 6
    assert len({entity["metadata"].get("namespace") for entity in components}) == 4
    titled = sum("title" in entity["metadata"] for entity in components)
    assert 0.2 < titled / len(components) < 0.4


def test_components_depend_only_on_earlier_ones() -> None:
    """A graph without circles, so that a walk of any depth ends."""
    seen: set[str] = set()
    for entity in entities(1500):
        if entity["kind"] in ("Component", "Resource"):
            ref = ref_of(entity)
            for target in targets_of(entity):
                if target.startswith(f"{entity['kind'].lower()}:"):
                    assert target in seen, (ref, target)
            seen.add(ref)


def test_definitions_are_openapi_of_half_to_three_kilobytes() -> None:
    definitions = [entity["spec"]["definition"] for entity in entities(2000) if entity["kind"] == "API"]
    assert all(500 <= len(text) <= 3000 for text in definitions)
    assert 1000 < sum(map(len, definitions)) / len(definitions) < 1700
    for text in definitions[:50]:
        document = load(text)
        assert document["openapi"].startswith("3.")
        assert document["paths"]
        assert document["components"]["schemas"]


def test_a_tree_holds_the_same_files(tmp_path: Path) -> None:
    made = dict(generate(300, 7))
    assert write_tree(tmp_path / "new", 300, 7) == len(made)
    found = {
        path.relative_to(tmp_path / "new").as_posix(): path.read_text("utf-8")
        for path in (tmp_path / "new").rglob("*")
        if path.is_file()
    }
    assert found == made
