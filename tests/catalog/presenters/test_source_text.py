"""Numbered, coloured, escaped lines."""

from __future__ import annotations

import html
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from catalog.presenters.entity import as_yaml
from catalog.presenters.source_text import COLOURED_CHARS, language_of, source_text


def plain(line: str) -> str:
    """A line as the reader sees it."""
    return html.unescape(re.sub(r"</?span[^>]*>", "", line))


def test_keys_and_values_are_coloured_and_markup_is_text() -> None:
    text = source_text("name: '<script>'\n# note\n", "yaml")
    assert text.total == 2
    assert '<span class="k">name</span>' in text.lines[0]
    assert "<script>" not in text.lines[0]
    assert text.lines[1] == '<span class="c"># note</span>'


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
    st.sampled_from(["yaml", "json", "graphql", "protobuf", "?"]),
)
def test_every_language_shows_exactly_the_text_and_no_markup_of_its_own(text: str, language: str) -> None:
    shown = source_text(text, language)
    wanted = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    seen = [plain(line) for line in shown.lines]
    for line in shown.lines:
        assert set(re.findall(r"<[^>]*>", line)) <= {"</span>", *(f'<span class="{c}">' for c in "ksnc")}
    if language == "?":
        assert "\n".join(seen) == "\n".join(text.split("\n")[: len(seen)])
    else:
        assert "\n".join(seen).rstrip() == "\n".join(wanted).rstrip() or "\ufeff" in text


def test_a_long_text_is_cut_and_one_that_is_too_long_to_colour_stays_plain() -> None:
    cut = source_text("a: 1\n" * 30, "yaml", limit=10)
    assert (len(cut.lines), cut.total, cut.is_cut) == (10, 30, True)
    long = source_text(f"key: {'v' * COLOURED_CHARS}", "yaml")
    assert long.lines[0].startswith("key: v")


@pytest.mark.parametrize(
    ("text", "hint", "language"),
    [('{"a": 1}', "", "json"), ("a: 1", "", "yaml"), ("{", "graphql", "graphql")],
)
def test_the_language_is_told_by_hint_or_first_character(text: str, hint: str, language: str) -> None:
    assert language_of(text, hint) == language


def test_an_entity_reads_back_as_it_was() -> None:
    document = {
        "kind": "API",
        "metadata": {"name": "x", "annotations": {"a": "yes", "b": "1", "c": "null"}, "tags": []},
        "spec": {
            "definition": "line one\n  line two\n",
            "flag": True,
            "n": 1,
            "nothing": None,
            "wide": "w " * 100,
        },
    }
    text = as_yaml(document)
    assert yaml.safe_load(text) == document
    assert "definition: |" in text
    assert text.index("kind") < text.index("metadata") < text.index("spec")
