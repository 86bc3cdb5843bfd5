"""Expressions are checked where they are written, and their tree says what the engine does."""

from __future__ import annotations

import pytest
from cel_expr_python import cel
from hypothesis import given
from hypothesis import strategies as st

from portal.core.errors import InputError
from portal.expressions.cel import LONGEST, Environment, Type, Variable
from portal.expressions.tree import Call, Constant, Field, ListOf, Name, Other
from portal.expressions.wire import read_tree

PLACE = Environment(
    (
        Variable("thing.name", Type.TEXT, "Its name."),
        Variable("thing.tags", Type.TEXTS, "Its tags."),
        Variable("thing.labels", Type.LABELS, "Its labels."),
        Variable("thing.good", Type.YES_OR_NO, "Whether it is good."),
    ),
    code="test",
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("thing.nme == 'x'", "undeclared reference to 'thing.nme' (column 6)"),
        ("thing.name == 1", "no matching overload"),
        ("thing.name ==", "Syntax error"),
        ("thing.name", "comes to a string"),
        ("thing.good &&\n thing.bad", "line 2, column 7"),
        ("'" + "x" * LONGEST + "' == 'y'", f"at most {LONGEST}"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        PLACE.compile(text)
    assert says in caught.value.message
    assert caught.value.code == "test.expression"
    assert caught.value.remedy


def test_the_tree_is_what_was_written() -> None:
    tree = PLACE.compile("!thing.good || 'a' in thing.tags && thing.labels['k'] == 'v'").tree
    both = Call(
        "_&&_",
        (
            Call("@in", (Constant("a"), Name("thing.tags"))),
            Call("_==_", (Call("_[_]", (Name("thing.labels"), Constant("k"))), Constant("v"))),
        ),
    )
    assert tree == Call("_||_", (Call("!_", (Name("thing.good"),)), both))
    assert PLACE.compile("has(thing.labels.k)").tree == Field(Name("thing.labels"), "k", True)
    listed = Call("@in", (Name("thing.name"), ListOf((Constant("a"), Constant("b")))))
    assert PLACE.compile("thing.name in ['a', 'b']").tree == listed
    assert isinstance(PLACE.compile("thing.tags.exists(t, t == 'x')").tree, Other)


def test_what_it_reads_is_known_also_inside_a_macro() -> None:
    program = PLACE.compile("thing.tags.exists(t, t == thing.name) && thing.good")
    assert program.reads == {"thing.tags", "thing.name", "thing.good"}


def test_a_label_that_is_not_there_is_an_error_and_neither_yes_nor_no() -> None:
    facts = {"thing.name": "x", "thing.tags": [], "thing.labels": {}, "thing.good": True}
    assert PLACE.compile("thing.labels['k'] == 'v'").holds(facts) is None
    assert PLACE.compile("!(thing.labels['k'] == 'v')").holds(facts) is None
    assert PLACE.compile("thing.labels['k'] == 'v' || thing.good").holds(facts) is True
    assert PLACE.compile("thing.name == 'y'").holds(facts) is False


@given(
    st.one_of(
        st.text(), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(allow_nan=False), st.binary()
    )
)
def test_every_constant_is_read_as_it_was_written(value: str | int | bool | float | bytes) -> None:
    if isinstance(value, str):
        written = "'" + "".join(f"\\U{ord(c):08x}" for c in value if not 0xD800 <= ord(c) <= 0xDFFF) + "'"
        value = "".join(c for c in value if not 0xD800 <= ord(c) <= 0xDFFF)
    elif isinstance(value, bytes):
        written = "b'" + "".join(f"\\x{byte:02x}" for byte in value) + "'"
    elif isinstance(value, bool):
        written = str(value).lower()
    elif isinstance(value, float):
        written = f"{value:.17e}" if value == value and abs(value) != float("inf") else "0.5"
        value = float(written)
    else:
        written = str(value)
    tree = read_tree(cel.NewEnv().compile(written).serialize())
    if isinstance(tree, Call):  # a sign may be an operator
        assert tree.function == "-_"
        assert isinstance(tree.arguments[0], Constant)
        assert tree.arguments[0].value == -value  # type: ignore[operator]  # only numbers have one
    else:
        assert tree == Constant(value)


@pytest.mark.parametrize("data", [b"\x12", b"\x12\x05ab", b"\xff" * 12, b"\x0b", b"\x12\x02\x22\x00"])
def test_what_is_no_expression_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"ends|kind|type|Wire"):
        read_tree(data)
