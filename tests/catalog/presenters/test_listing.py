"""The address of the index is its state."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.presenters import listing
from catalog.presenters.listing import Asked, Names
from catalog.presenters.refs import KindBook, Links
from catalog.query import FacetCount

NAMES = Names(KindBook(), Links(KindBook(), {}), {})


def asked(query: str) -> Asked:
    return Asked.of("/catalog/", parse_qs(query))


def again(url: str) -> Asked:
    parts = urlsplit(url)
    return Asked.of(parts.path, parse_qs(parts.query))


def test_values_are_taken_or_left_out() -> None:
    found = asked("kind=component&tag=pci&tag=-java&owner=none&state=-&nonsense=1&sort=-updated&q=+pay+")
    assert found.include == {"kind": ("component",), "tag": ("pci",), "owner": ("none",)}
    assert found.exclude == {"tag": ("java",)}
    assert (found.text, found.sort, found.query_order) == ("pay", "-updated", "-changed_at")
    assert found.query_include() == {"kind": ["component"], "metadata.tags": ["pci"], "owner": [""]}


def test_an_unknown_order_is_the_usual_one() -> None:
    assert asked("sort=password").query_order == "label"


words = st.sampled_from([field.word for field in listing.FACETS])
values = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda v: v[0] != "-"
)


@given(
    st.dictionaries(words, st.lists(values, min_size=1, max_size=3, unique=True)),
    st.dictionaries(words, st.lists(values, min_size=1, max_size=2, unique=True)),
    values,
    st.sampled_from(sorted(listing.SORTS)),
)
def test_an_address_reads_back_as_the_same_question(
    include: dict[str, list[str]], exclude: dict[str, list[str]], text: str, sort: str
) -> None:
    question = Asked(
        "/catalog/",
        {w: tuple(v) for w, v in include.items()},
        {w: tuple(v) for w, v in exclude.items()},
        text.strip(),
        sort,
    )
    assert again(question.url()) == question


def test_every_chip_removes_itself_and_nothing_else() -> None:
    question = asked("kind=api&owner=group:default/a&owner=group:default/b&tag=-java&q=pay")
    chips = listing.chips(question, NAMES)
    assert [chip.title for chip in chips] == ["Owner", "Tag", "Words"]  # one kind is the list itself
    assert [again(chip.remove_url) for chip in chips] == listing.unfiltered(question)
    assert again(chips[1].remove_url).exclude == {}
    assert again(chips[1].remove_url).include == question.include


def test_writings_of_one_value_are_counted_together_under_the_most_frequent() -> None:
    counts = listing.merged(
        "type", [FacetCount("Service", 1), FacetCount("service", 63), FacetCount("library", 2)]
    )
    assert counts == {"service": 64, "library": 2}
    assert listing.merged("owner", [FacetCount("", 3)]) == {"none": 3}


def test_a_facet_shows_what_is_chosen_first_then_the_most_frequent() -> None:
    counts = {f"t{n}": n for n in range(20)}
    question = asked("type=t1&type=-t2")
    found = listing.facet(question, listing.BY_WORD["type"], counts, NAMES)
    assert found is not None
    assert [v.value for v in found.values] == ["t1", "t2", "t19", "t18", "t17", "t16", "t15", "t14"]
    assert (found.values[0].on, found.values[1].excluded, found.more) == (True, True, 12)
    whole = listing.facet(again(found.more_url), listing.BY_WORD["type"], counts, NAMES)
    assert whole is not None
    assert (whole.more, len(whole.values), whole.less_url != "") == (0, 20, True)


def test_a_facet_without_a_choice_is_left_out() -> None:
    assert listing.facet(asked(""), listing.BY_WORD["type"], {"service": 3}, NAMES) is None
    assert listing.facet(asked("type=gone"), listing.BY_WORD["type"], {}, NAMES) is not None


def test_tabs_choose_the_kind_and_drop_the_type_that_belongs_to_it() -> None:
    tabs = listing.kind_tabs(
        asked("kind=component&type=service&q=pay"), {"Component": 4, "API": 2}, KindBook()
    )
    assert [(t.count, t.current) for t in tabs] == [(6, False), (2, False), (4, True)]
    assert again(tabs[1].url) == asked("kind=api&q=pay")


@pytest.mark.parametrize(
    ("query", "url"),
    [
        (
            "kind=component&type=service",
            "/api/catalog/entities/by-query?filter=kind=component,spec.type=service&limit=50",
        ),
        (
            "owner=group:default/a",
            "/api/catalog/entities/by-query?filter=relations.ownedBy=group:default/a&limit=50",
        ),
        ("tag=-x", ""),
        ("owner=none", ""),
        ("state=missing", ""),
        ("type=a,b", ""),
    ],
)
def test_the_api_address_says_the_same_or_is_left_out(query: str, url: str) -> None:
    assert listing.api_url(asked(query)) == url
