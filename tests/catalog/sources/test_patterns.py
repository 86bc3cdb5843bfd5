from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.ingest.sources.base import DEFAULT_PATTERN, fixed_folder, is_skipped, matcher
from portal.core.errors import InputError


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        (DEFAULT_PATTERN, "catalog-info.yaml", True),
        (DEFAULT_PATTERN, "a/b/catalog-info.yml", True),
        (DEFAULT_PATTERN, ".backstage/catalog-info.yaml", True),
        (DEFAULT_PATTERN, "a/catalog-info.json", False),
        (DEFAULT_PATTERN, "a/my-catalog-info.yaml", False),
        ("*.yaml", "a.yaml", True),
        ("*.yaml", "a/b.yaml", False),
        ("a/*/c.yaml", "a/b/c.yaml", True),
        ("a/*/c.yaml", "a/b/b/c.yaml", False),
        ("a/**/c.yaml", "a/c.yaml", True),
        ("a/**/c.yaml", "a/b/b/c.yaml", True),
        ("a/**", "a/b/c", True),
        ("**", "anything/at/all", True),
        ("**/b/**/d", "a/b/c/d", True),
        ("**/b/**/d", "a/c/d", False),
        ("a?.yaml", "ab.yaml", True),
        ("a?.yaml", "a/.yaml", False),
        ("[ab].yaml", "b.yaml", True),
        ("[!ab].yaml", "b.yaml", False),
        ("[!ab].yaml", "c.yaml", True),
        ("pages/[id].yaml", "pages/i.yaml", True),
        ("{a,b/{c,d}}.yaml", "b/d.yaml", True),
        ("{a,b/{c,d}}.yaml", "c.yaml", False),
        ("a+(b).yaml", "a+(b).yaml", True),
        ("a.yaml", "aXyaml", False),
    ],
)
def test_patterns_match_as_people_expect(pattern: str, path: str, expected: bool) -> None:
    assert matcher(pattern)(path) is expected


def test_a_hostile_pattern_takes_no_time() -> None:
    started = time.monotonic()
    assert not matcher("**/" * 15 + "x")("a/" * 200 + "y")
    assert not matcher("/".join(["**", "a*"] * 8) + "/z")("/".join(["aaa"] * 120) + "/z2")
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    "pattern", ["*" * 50, "x" * 1001, "{a,b}" * 8, "{" + ",".join("abcdefghij" * 7) + "}"]
)
def test_a_pattern_that_is_too_complicated_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match="too complicated"):
        matcher(pattern)


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_pattern_makes_the_matcher_fail(pattern: str, path: str) -> None:
    try:
        matcher(pattern)(path)
    except InputError:
        return


@given(
    st.lists(
        st.text(alphabet="ab.-", min_size=1, max_size=5).filter(lambda name: name != "."),
        min_size=1,
        max_size=5,
    )
)
def test_a_path_matches_itself_and_everything(names: list[str]) -> None:
    path = "/".join(names)
    assert matcher(path)(path)
    assert matcher("**")(path)
    assert matcher(f"**/{names[-1]}")(path)


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [("a/b/*.yaml", "a/b"), ("/x/**/y", "/x"), ("*.yaml", ""), ("a/b.yaml", "a"), ("/*.yaml", "")],
)
def test_the_fixed_folder_of_a_pattern(pattern: str, folder: str) -> None:
    assert fixed_folder(pattern) == folder


def test_folders_that_are_never_searched() -> None:
    assert is_skipped("node_modules/x/catalog-info.yaml")
    assert is_skipped("a/.git/config")
    assert not is_skipped("a/.github/catalog-info.yaml")
    assert not is_skipped("a/node_modules")
