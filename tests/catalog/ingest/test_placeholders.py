"""Placeholders, and the targets of Locations: what leads from one file to others."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.refs import LocationRef
from tests.catalog.ingest.engine import SPEC, component, nothing_to_read, problems_of, process


def test_placeholders_are_replaced_anywhere_and_told() -> None:
    files = {"a.txt": b"text", "b.json": b'{"x": [1.0, 2e400]}', "c.yaml": b"on: yes\n"}
    value = component(
        a={"$text": "./a.txt"},
        deep=[{"b": {"$json": "b.json"}}],
        c={"$yaml": "./c.yaml"},
        again={"$text": "a.txt"},
    )
    value["metadata"]["annotations"] = {"x.io/y": {"$text": "/dir/a.txt"}}
    processed = process(value, read=lambda place: files[place.target.rpartition("/")[2]])
    assert processed.entity["spec"]["a"] == "text"
    assert processed.entity["spec"]["deep"] == [{"b": {"x": [1, None]}}]
    assert processed.entity["spec"]["c"] == {"on": "yes"}
    assert processed.entity["metadata"]["annotations"]["x.io/y"] == "text"
    base = "https://github.com/acme/shop/tree/main/dir"
    assert [p.target for p in processed.placeholders] == [f"{base}/a.txt", f"{base}/b.json", f"{base}/c.yaml"]


def test_what_only_looks_like_a_placeholder_stays() -> None:
    spec = {
        "unknown": {"$foo": {"$text": "./x"}},
        "two": {"$text": "./x", "other": 1},
        "ref": {"$ref": "#/a"},
    }
    assert process(component(**spec)).entity["spec"] == {**SPEC, **spec}


@pytest.mark.parametrize(
    ("placeholder", "data", "rule"),
    [
        ({"$text": 5}, b"", "not-text"),
        ({"$text": "./gone"}, None, "unreadable"),
        ({"$json": "./x"}, b"{", "json"),
        ({"$json": "./x"}, b"NaN", "json"),
        ({"$json": "./x"}, b"[" * 100_000, "json"),
        ({"$yaml": "./x"}, b"a: [", "yaml"),
        ({"$yaml": "./x"}, b"a: 1\n---\nb: 1", "yaml-documents"),
        ({"$yaml": "./x"}, b"", "yaml-documents"),
        ({"$text": "https://github.com/other/repo/blob/main/x"}, b"", "other-repository"),
        ({"$text": "../../../../../o/r/blob/main/x"}, b"", "other-repository"),
        ({"$text": "file:///etc/passwd"}, b"", "unresolvable"),
        ({"$text": "ssh://h/x"}, b"", "unresolvable"),
        ({"$text": "https://github.com/acme/shop/blob/main/%2e%2e/x"}, b"", "unresolvable"),
    ],
)
def test_a_failing_placeholder_is_one_problem_at_its_place(
    placeholder: Any, data: bytes | None, rule: str
) -> None:
    def read(place: LocationRef) -> bytes:
        return nothing_to_read(place) if data is None else data

    value = component(type="openapi", definition=placeholder)
    value["kind"] = "API"
    (problem,) = problems_of(value, read=read)
    key = next(iter(placeholder))
    assert (problem.rule, problem.path) == (f"catalog.placeholder.{rule}", f"/spec/definition/{key}")
    assert problem.remedy and problem.error_name == "InputError"


def test_a_failing_placeholder_does_not_hide_other_problems() -> None:
    rules = [p.rule for p in problems_of(component(owner={"$text": "./gone"}, lifecycle=5))]
    assert rules == ["catalog.placeholder.unreadable", "catalog.schema.type"]


def test_placeholders_of_a_file_on_disk_are_seen_from_it() -> None:
    seen: list[LocationRef] = []

    def read(place: LocationRef) -> bytes:
        seen.append(place)
        return b"x"

    place = LocationRef("file", "/srv/catalog/dir/a.yaml")
    process(
        component(a={"$text": "./x"}, b={"$text": "../../../../y"}, c={"$text": "https://h.example/z"}),
        location=place,
        read=read,
    )
    assert seen == [("file", "/srv/catalog/dir/x"), ("file", "/y"), ("url", "https://h.example/z")]
    (problem,) = problems_of(component(a={"$text": "/etc/passwd"}), location=place)
    assert problem.rule == "catalog.placeholder.unresolvable"


# --- Locations


def location(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Location",
        "metadata": {"name": "l"},
        "spec": spec,
    }


def test_targets_are_absolute_and_in_order() -> None:
    processed = process(
        location(
            target="./a.yaml",
            targets=["../b.yaml", "/c.yaml", "https://x.example/d.yaml"],
            presence="optional",
        )
    )
    base = "https://github.com/acme/shop/tree/main"
    assert [str(target) for target in processed.targets] == [
        f"url:{base}/dir/a.yaml",
        f"url:{base}/b.yaml",
        f"url:{base}/c.yaml",
        "url:https://x.example/d.yaml",
    ]
    assert processed.presence == "optional"
    assert process(location()).targets == ()


def test_a_location_read_from_an_address_cannot_name_files() -> None:
    for kind in ("file", "github"):
        (problem,) = problems_of(location(type=kind, target="/etc/passwd"))
        assert problem.rule == "catalog.location.type" and '["url"]' in problem.message


def test_a_location_on_disk_names_files_seen_from_it() -> None:
    place = LocationRef("file", "/srv/catalog/all.yaml")
    processed = process(location(targets=["./a.yaml", "dir/*.yaml", "/other/b.yaml"]), location=place)
    assert processed.targets == (
        ("file", "/srv/catalog/a.yaml"),
        ("file", "/srv/catalog/dir/*.yaml"),
        ("file", "/other/b.yaml"),
    )
    (target,) = process(location(type="url", target="https://h.example/x.yaml"), location=place).targets
    assert target == ("url", "https://h.example/x.yaml")


def test_a_script_is_no_target() -> None:
    (problem,) = problems_of(location(target="javascript:alert(1)"))
    assert problem.rule == "catalog.location.target"
