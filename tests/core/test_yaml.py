"""The YAML reader: what stock's reader says of the same text, and what it does with bad input."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.core.yaml import Document, Limits, YamlError, js_number, js_string, load, load_documents


def documents(text: str | bytes, **limits: int) -> list[Document]:
    data = text.encode() if isinstance(text, str) else text
    return list(load_documents(data, limits=Limits(**limits)))


def error_of(text: str | bytes, **limits: int) -> YamlError:
    (document,) = documents(text, **limits)
    assert document.error is not None, document.value
    return document.error


# What the npm package `yaml` 2.9 (Backstage's reader) makes of each text; recorded by running it.
STOCK_VALUES = [
    ("a: yes\nb: no\nc: on\nd: off\ne: y", {"a": "yes", "b": "no", "c": "on", "d": "off", "e": "y"}),
    (
        "a: 010\nb: 0o10\nc: 0xFF\nd: 1_000\ne: 1:30\nf: 0b1",
        {"a": 10, "b": 8, "c": 255, "d": "1_000", "e": "1:30", "f": "0b1"},
    ),
    (
        "a: 2024-01-02\nb: 2001-12-14t21:59:43.10-05:00",
        {"a": "2024-01-02", "b": "2001-12-14t21:59:43.10-05:00"},
    ),
    (
        "a: ~\nb: null\nc: NULL\nd:\ne: TRUE\nf: False\ng: tRue",
        {"a": None, "b": None, "c": None, "d": None, "e": True, "f": False, "g": "tRue"},
    ),
    (
        "a: .5\nb: 5.\nc: +1\nd: -0\ne: -0.0\nf: 1.0\ng: 1E5\nh: 1e3",
        {"a": 0.5, "b": 5, "c": 1, "d": 0, "e": 0, "f": 1, "g": 100000, "h": 1000},
    ),
    (
        "a: .nan\nb: -.inf\nc: .Inf\nd: 1.0e+400\ne: nan",
        {"a": None, "b": None, "c": None, "d": None, "e": "nan"},
    ),
    ("a: 12345678901234567890\nb: 9007199254740993", {"a": 12345678901234567000, "b": 9007199254740992}),
    (
        "a: 0o8\nb: 0xG\nc: +0x1\nd: 0X1\ne: _1\nf: +\ng: ...",
        {"a": "0o8", "b": "0xG", "c": "+0x1", "d": "0X1", "e": "_1", "f": "+", "g": "..."},
    ),
    ("5: x\n~: y\n1.0: z\ntrue: t", {"5": "x", "": "y", "1": "z", "true": "t"}),
    ("5: a\n'5': b", {"5": "b"}),
    ("<<: &x {a: 1}\nb: 1\nc: *x", {"<<": {"a": 1}, "b": 1, "c": {"a": 1}}),
    (
        "d: !foo 5\ne: !!str 5\nf: !!int '7'\nh: !!bool yes\ni: !!float 3\nj: !!null ''\nk: !foo [1]\nl: !x",
        {"d": "5", "e": "5", "f": 7, "h": "yes", "i": "3", "j": None, "k": [1], "l": ""},
    ),
    (
        "b: !!binary aGk=\nt: !!timestamp 2020-01-01",
        {"b": {"type": "Buffer", "data": [104, 105]}, "t": "2020-01-01T00:00:00.000Z"},
    ),
    ("o: {{ cookiecutter.owner }}", {"o": {"{ cookiecutter.owner }": None}}),
    ("? [a, b]\n: q", {"[ a, b ]": "q"}),
    ('{"a":1,"b" :2}', {"a": 1, "b": 2}),
    ("{a:1}", {"a:1": None}),
    ("[a: 1, b]", [{"a": 1}, "b"]),
    ("- a\n-\tb", ["a", "b"]),
    ("a:\tb", {"a": "b"}),
    ("a: |\n x", {"a": "x\n"}),
    ("a: >\n\n\n b", {"a": "\n\nb\n"}),
    ("a: |2-\n   x\n", {"a": " x"}),
    ("a: b\u2028c\nd: e\x7ff\ng: './h\u0085i'", {"a": "b\u2028c", "d": "e\x7ff", "g": "./h\u0085i"}),
    ("a: b\rc", {"a": "b\rc"}),
    ("a: b\r\nc: d\r\n", {"a": "b", "c": "d"}),
    ('a: "\\/"', {"a": "/"}),
    ("a: x#c\nb: x #c", {"a": "x#c", "b": "x"}),
    ("\ufeffa: 1", {"a": 1}),
    ("&a a: *a", {"a": "a"}),
    ("- &x\n- *x", [None, None]),
    ("%YAML 1.3\n---\na: 1", {"a": 1}),
    ("%FOO x\n---\na: 1", {"a": 1}),
    (
        "%YAML 1.1\n---\na: yes\nb: 010\nc: 1_000\nd: 1:30\ne: 0b11\nf: off\ng: 08\nh: =",
        {"a": True, "b": 8, "c": 1000, "d": 90, "e": 3, "f": False, "g": 8, "h": "="},
    ),
    (
        "%YAML 1.1\n---\na: 2001-12-14\nb: {<<: {x: 1, z: 2}, x: 3}\noff: off",
        {"a": "2001-12-14T00:00:00.000Z", "b": {"x": 3, "z": 2}, "false": False},
    ),
]


@pytest.mark.parametrize(("text", "value"), STOCK_VALUES)
def test_values_are_those_of_stocks_reader(text: str, value: object) -> None:
    (document,) = documents(text)
    assert document.error is None
    assert json.dumps(document.value, sort_keys=True) == json.dumps(value, sort_keys=True)


STOCK_ERRORS = [
    "a: 1\na: 2",
    "1: a\n1.0: b",
    "a: *n",
    "a: [1",
    "a: b: c",
    "a: 'x' y",
    "a: - b",
    "a: @x",
    "a: `x",
    "a: %x",
    'a: "\\q"',
    "[a,,b]",
    "\ta: 1",
    "a:\n\t- b",
    "a: ]",
    "x: a\ny",
    "x: 1\n y: 2",
    "a:\n  b:\n c: 1",
    "- a: 1\n   b: 2",
]


@pytest.mark.parametrize("text", STOCK_ERRORS)
def test_what_stocks_reader_refuses_is_refused_with_a_place(text: str) -> None:
    error = error_of(text)
    assert error.code.startswith("yaml.")
    assert error.remedy
    assert error.place is not None and error.place.line >= 1 and error.place.column >= 1


@pytest.mark.parametrize(
    ("text", "indexes"),
    [
        ("", []),
        ("# c\n", []),
        ("---\n", []),
        ("a: 1\n---\n", [0]),
        ("a: 1\n...\n", [0]),
        ("---\n---\na: 1", [1]),
        ("a: 1\n...\n---\nb: 1\n", [0, 1]),
        ("a: 1\n...\nb: 2\n", [0, 1]),
        ("---\n# only\n---\na: 1\n", [1]),
        ("a: 1\n--- text\n", [0, 1]),
        ("--- |\n abc\n--- {a: 1}\n", [0, 1]),
        ("a: |\n x\n---\nb: 1", [0, 1]),
        ("%x: 1", []),
        ("%YAML 1.2\n---\na: 1\n...\n# c\n%YAML 1.1\n---\nb: yes\n", [0, 1]),
    ],
)
def test_empty_documents_are_skipped_and_counted(text: str, indexes: list[int]) -> None:
    assert [document.index for document in documents(text)] == indexes


def test_a_broken_document_hides_neither_the_one_before_nor_the_one_after() -> None:
    first, broken, last = documents("a: 1\n---\nb: [1\nc: 'x\n---\nd: 4\n")
    assert first.value == {"a": 1} and last.value == {"d": 4}
    assert broken.error is not None and broken.error.place is not None
    assert (broken.index, broken.first_line, broken.error.place.line) == (1, 2, 3)
    assert broken.error.place.source_line == "b: [1"
    assert last.first_line == 5


def test_the_version_directive_holds_until_a_document_brings_its_own() -> None:
    text = "%YAML 1.1\n---\na: yes\n---\na: yes\n...\n%YAML 1.2\n---\na: yes\n"
    assert [document.value["a"] for document in documents(text)] == [True, True, "yes"]


def test_unknown_tags_warn_with_their_line_and_keep_the_value() -> None:
    (_, document) = documents("a: 1\n---\nb: !secret x\n")
    assert document.value == {"b": "x"}
    assert document.warnings == ("line 3: unknown tag !secret, the value is kept",)


def test_a_pointer_leads_to_line_column_and_source() -> None:
    text = "# top\n---\nmetadata:\n  name: one\n  a/b~c: {x: [1, 'two', three]}\n"
    (document,) = documents(text)
    place = document.locate("/metadata/a~1b~0c/x/1")
    assert place is not None
    assert (place.line, place.column, place.source_line) == (5, 18, "  a/b~c: {x: [1, 'two', three]}")
    assert place.source_line[place.column - 1 : place.end_column - 1] == "'two'"
    key = document.locate("/metadata/name", key=True)
    assert key is not None and (key.line, key.column) == (4, 3)
    nearest = document.locate("/metadata/missing/deeper")
    assert nearest is not None and nearest.line == 4


def test_places_survive_characters_that_libyaml_misreads() -> None:
    (document,) = documents("a: x\u2028y\nb: [1, z\x85]\n")
    assert document.value == {"a": "x\u2028y", "b": [1, "z\x85"]}
    place = document.locate("/b/1")
    assert place is not None and place.line == 2 and place.source_line == "b: [1, z\x85]"


def test_a_duplicate_key_names_both_lines() -> None:
    error = error_of("a: 1\nb: 2\na: 3\n")
    assert error.code == "yaml.duplicate-key" and "line 1" in error.message
    assert error.place is not None and error.place.line == 3


@pytest.mark.parametrize(
    ("text", "line", "corrected"),
    [
        ("metadata:\n\tname: one\n", 2, "  name: one"),
        ("a: b\nc: d: e\n", 2, 'c: "d: e"'),
        ("a: @b\n", 1, 'a: "@b"'),
        ("spec:\n  type: service\n   owner: x\n", 3, "  owner: x"),
    ],
)
def test_the_corrected_line_is_suggested(text: str, line: int, corrected: str) -> None:
    error = error_of(text)
    assert error.place is not None and error.place.line == line
    assert error.corrected_line == corrected


# --- bad input


def test_an_alias_bomb_is_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 60)]
    started = time.perf_counter()
    assert error_of("\n".join(lines)).code == "yaml.alias-expansion"
    assert time.perf_counter() - started < 2


def test_many_small_aliases_are_fine() -> None:
    (document,) = documents("a: &a x\nb: [" + ", ".join(["*a"] * 500) + "]\n")
    assert document.value["b"] == ["x"] * 500


def test_a_circle_of_aliases_is_refused() -> None:
    assert error_of("a: &a [*a]").code == "yaml.circular-alias"
    assert error_of("a: &a {b: {c: *a}}").code == "yaml.circular-alias"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 300_000,
        "[" * 2000 + "]" * 2000,
        "{a: " * 100_000,
        "- " * 100_000 + "x",
        "? " * 50_000,
        "-\t" * 5000 + "x",
        "".join(f"{' ' * i}a:\n" for i in range(400)),
        "a: [" + "[1]," * 50 + "[" * 200 + "]" * 200 + "]",
    ],
)
def test_deep_nesting_is_refused_without_recursing_into_it(text: str) -> None:
    started = time.perf_counter()
    assert error_of(text).code in ("yaml.too-deep", "yaml.syntax")
    assert time.perf_counter() - started < 5


def test_aliases_cannot_build_depth() -> None:
    lines = ["a0: &a0 [[[[[[[[[[x]]]]]]]]]]"]
    lines += [f"a{i}: &a{i} [[[[[[[[[[*a{i - 1}]]]]]]]]]]" for i in range(1, 12)]
    assert error_of("\n".join(lines)).code == "yaml.too-deep"


def test_a_hundred_levels_are_allowed() -> None:
    (document,) = documents("[" * 100 + "]" * 100)
    assert document.error is None
    assert error_of("[" * 101 + "]" * 101).code == "yaml.too-deep"


def test_a_huge_file_is_refused_by_its_size() -> None:
    error = error_of(b"a: " + b"x" * 200, max_bytes=100)
    assert error.code == "yaml.too-large" and "203 bytes" in error.message


def test_too_many_values_are_refused_before_they_take_memory() -> None:
    assert error_of("- a\n" * 200_000).code == "yaml.too-many-nodes"
    assert error_of("[" + ",".join(["1"] * 60) + "]", max_nodes=50).code == "yaml.too-many-nodes"


def test_broken_text_of_any_size_is_refused_in_reasonable_time() -> None:
    started = time.perf_counter()
    results = documents(("a: [1\n" * 2000 + "---\n") * 40)
    assert all(document.error is not None for document in results)
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        ("a: é".encode("utf-16"), "yaml.encoding", "UTF-16"),
        (b"\xfe\xff\x00a", "yaml.encoding", "UTF-16"),
        ("a: b".encode("utf-16-le"), "yaml.control-character", "NUL"),
        (b"a: \x00b", "yaml.control-character", "NUL"),
        (b'a: "\\0"', "yaml.control-character", "NUL"),
        (b'a: "\\ud800"', "yaml.", ""),
        (b"a: caf\xe9", "yaml.encoding", "0xe9"),
    ],
)
def test_wrong_encodings_are_named(data: bytes, code: str, words: str) -> None:
    error = error_of(data)
    assert error.code.startswith(code) and words in error.message and error.remedy


def test_a_byte_that_is_no_utf8_is_charged_to_its_document() -> None:
    good, bad = documents("name: naïve\n---\nb: 1\nc: caf".encode() + b"\xe9\n")
    assert good.value == {"name": "naïve"}
    assert bad.error is not None and bad.error.place is not None
    assert (bad.error.place.line, bad.error.place.column) == (4, 7)


def test_load_wants_one_document() -> None:
    assert load("a: 1\n") == {"a": 1}
    assert load("") is None
    with pytest.raises(YamlError, match="2 documents"):
        load("a: 1\n---\nb: 2\n")
    with pytest.raises(YamlError):
        load("a: [")


# --- properties

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(json_values)
def test_json_is_read_as_json(value: object) -> None:
    (document,) = load_documents(json.dumps(value), keep_empty=True)
    assert document.error is None
    assert document.value == value


@settings(deadline=None)
@given(
    st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_any_bytes_give_documents_or_errors_with_places(data: bytes) -> None:
    for document in load_documents(data):
        if document.error is None:
            json.dumps(document.value).encode()
            assert document.locate("") is not None
        else:
            assert document.error.remedy


@settings(deadline=None)
@given(st.lists(json_values, min_size=1, max_size=5))
def test_documents_are_separated_at_their_markers(values: list[object]) -> None:
    text = "".join(f"---\n{json.dumps(value)}\n" for value in values)
    read = list(load_documents(text, keep_empty=True))
    assert [document.value for document in read] == values
    assert [document.first_line for document in read] == [1 + 2 * i for i in range(len(values))]


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_numbers_are_those_that_json_and_javascript_share(number: float) -> None:
    kept = js_number(number)
    if kept is not None:
        assert float(js_string(kept)) == float(number)
        assert json.loads(json.dumps(kept)) == kept


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.5, "1.5"),
        (1.0, "1"),
        (0.1, "0.1"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (-1.5e-9, "-1.5e-9"),
        (123456789.125, "123456789.125"),
        (-0.0, "0"),
        (1.2345e25, "1.2345e+25"),
        (True, "true"),
        (False, "false"),
        (None, ""),
        ("x", "x"),
        (5e-324, "5e-324"),
    ],
)
def test_numbers_are_written_as_javascript_writes_them(number: object, text: str) -> None:
    assert js_string(number) == text
