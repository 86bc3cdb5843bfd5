"""The line as it is, and as it would be right."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from catalog.presenters.problem import at_line, file_name, line_diff


def texts(lines: list) -> list[tuple[str, str]]:  # type: ignore[type-arg]  # of DiffLine
    return [(line.css, "".join(piece.text for piece in line.pieces)) for line in lines]


def test_a_corrected_line_shows_what_changes() -> None:
    before, after = line_diff("    - Node.js", "    - node-js", 7)
    assert (before.css, before.number, after.css, after.number) == ("del", 7, "add", 7)
    assert [p.text for p in before.pieces if p.changed] == ["N", "."]
    assert [p.text for p in after.pieces if p.changed] == ["n", "-"]


def test_a_missing_line_is_shown_below_the_written_one() -> None:
    assert texts(line_diff("spec:", "  lifecycle: production", 3)) == [
        ("", "spec:"),
        ("add", "  lifecycle: production"),
    ]


def test_without_a_correction_the_line_stands_alone() -> None:
    assert texts(line_diff("a: b: c", "", 1)) == [("", "a: b: c")]
    assert line_diff("", "", None) == []


@given(st.text(max_size=60), st.text(max_size=60))
def test_both_lines_are_always_whole(before: str, after: str) -> None:
    for css, text in texts(line_diff(before, after, 1)):
        assert text == (after if css == "add" else before)


def test_files_have_short_names_and_addresses_get_their_line() -> None:
    assert (
        file_name("https://git.example.org/a/src/main/shop/catalog-info.yaml?at=x")
        == "shop/catalog-info.yaml"
    )
    assert file_name("") == ""
    assert at_line("https://git.example.org/f.yaml", 4) == "https://git.example.org/f.yaml#L4"
    assert at_line("/srv/f.yaml", 4) == "/srv/f.yaml"
    assert at_line("https://git.example.org/f.yaml", None) == "https://git.example.org/f.yaml"
