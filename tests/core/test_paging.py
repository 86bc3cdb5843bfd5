"""Cursors and positions."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.errors import InputError
from portal.core.paging import Keyset, SortKey, decode_cursor, encode_cursor

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(json_values)
def test_a_cursor_is_read_as_it_was_written(value: Any) -> None:
    text = encode_cursor(value)
    assert decode_cursor(text) == value
    assert decode_cursor(text.rstrip("=")) == value
    assert decode_cursor(text.replace("+", "-").replace("/", "_")) == value


@given(st.text(max_size=30))
def test_any_other_text_is_refused_and_nothing_else_happens(text: str) -> None:
    try:
        decode_cursor(text)
    except InputError as refused:
        assert refused.code == "cursor.malformed"
        assert refused.remedy


@pytest.mark.parametrize(
    "text", ["", "é", "a", base64.b64encode(b"[" * 5_000).decode(), base64.b64encode(b"\xff").decode()]
)
def test_a_broken_cursor_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        decode_cursor(text)


def test_a_position_has_a_value_for_every_key() -> None:
    keyset = Keyset((SortKey("label"), SortKey("ref")))
    with pytest.raises(InputError):
        keyset.beyond(["a"])
    with pytest.raises(InputError):
        keyset.beyond([None, "a"])
    assert Keyset((SortKey("owner", nullable=True), SortKey("ref"))).beyond([None, "a"])
