"""Allow rules."""

from __future__ import annotations

import pytest

from catalog.ingest.rules import AllowRules, glob_pattern
from catalog.kinds import KindRegistry
from catalog.refs import LocationRef
from portal.core.errors import InputError

GITHUB = LocationRef("url", "https://github.com/acme/shop/blob/main/all.yaml")
DISK = LocationRef("file", "/srv/all.yaml")


def test_by_default_people_templates_and_files_stay_outside() -> None:
    rules = AllowRules.default(KindRegistry.shipped())
    allowed = {kind for kind in KindRegistry.shipped().kinds if rules.allows({"kind": kind}, GITHUB)}
    assert allowed == {"AiResource", "API", "Component", "Domain", "Location", "Resource", "System"}
    assert not rules.allows({"kind": "Location", "spec": {"type": "file"}}, GITHUB)
    assert rules.allows({"kind": "Location", "spec": {"type": "file"}}, DISK)
    assert rules.allows({"kind": "Location", "spec": {"type": "url"}}, GITHUB)


def test_rules_are_joined_by_or_and_look_at_kind_type_and_origin() -> None:
    rules = AllowRules.from_config(
        [
            {"allow": ["component", "API"]},
            {
                "allow": [{"kind": "Resource", "spec.type": "database"}, {"kind": "System"}],
                "locations": [{"type": "url"}],
            },
            {"allow": ["User"], "locations": [{"type": "url", "exact": GITHUB.target}]},
            {"allow": ["Group"], "locations": [{"type": "url", "pattern": "https://GitHub.com/acme/**"}]},
        ]
    )
    assert rules.allows({"kind": "Component"}, DISK) and rules.allows({"kind": "api"}, DISK)
    assert rules.allows({"kind": "Resource", "spec": {"type": "Database"}}, GITHUB)
    assert not rules.allows({"kind": "Resource", "spec": {"type": "queue"}}, GITHUB)
    assert rules.allows({"kind": "System"}, GITHUB) and not rules.allows({"kind": "System"}, DISK)
    assert rules.allows({"kind": "User"}, GITHUB)
    assert not rules.allows({"kind": "User"}, LocationRef("url", f"{GITHUB.target}x"))
    assert rules.allows({"kind": "Group"}, GITHUB)
    assert not rules.allows({"kind": "Group"}, LocationRef("url", "https://github.com/other/x"))


@pytest.mark.parametrize(
    ("glob", "matches", "others"),
    [
        ("a/*/c", ["a/b/c", "A/.b/C"], ["a/c", "a/b/d/c"]),
        ("a/**/c", ["a/c", "a/b/c", "a/b/d/c"], ["a/bc", "ac"]),
        ("a/**", ["a/", "a/b", "a/b/.c"], ["a", "b/a/c"]),
        ("a.{yaml,yml}", ["a.yaml", "a.yml"], ["axyaml", "a.y"]),
        ("a?[bc]", ["axb", "a.c"], ["a/b", "axd"]),
        ("[!a]x", ["bx"], ["ax"]),
        ("a{b", ["a{b"], ["ab"]),
    ],
)
def test_globs(glob: str, matches: list[str], others: list[str]) -> None:
    pattern = glob_pattern(glob)
    assert all(pattern.fullmatch(text) for text in matches)
    assert not any(pattern.fullmatch(text) for text in others)


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"allow": "Component"},
        {"allow": [5]},
        {"allow": [{"spec.type": "x"}]},
        {"allow": [], "locations": [{}]},
        {"allow": [], "locations": [{"type": "url", "exact": "a", "pattern": "b"}]},
        {"allow": [], "locations": [{"type": "url", "pattern": "[z-a]"}]},
    ],
)
def test_a_rule_of_another_form_is_an_error(item: dict[str, object]) -> None:
    with pytest.raises(InputError):
        AllowRules.from_config([item])
