"""Operations read from API definitions."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.presenters.definition import SHOWN_OPERATIONS, read_definition

OPENAPI = """
openapi: 3.0.3
info: {title: Bookings, version: 3.1.0}
servers: [{url: https://api.example.org}]
paths:
  /bookings:
    parameters: []
    get: {summary: List bookings, tags: [read]}
    post: {description: "Book a place\\nand more", deprecated: true}
    x-private: 1
"""


def test_openapi_operations_have_method_path_summary_and_tag() -> None:
    found = read_definition(OPENAPI, "openapi")
    assert (found.title, found.version, found.servers) == ("Bookings", "3.1.0", ["https://api.example.org"])
    assert [(o.verb, o.name, o.summary, o.group, o.deprecated) for o in found.operations] == [
        ("GET", "/bookings", "List bookings", "read", False),
        ("POST", "/bookings", "Book a place", "", True),
    ]


def test_a_definition_in_json_is_read_and_coloured_as_json() -> None:
    found = read_definition('{"openapi": "3.1.0", "paths": {"/a": {"get": {}}}}', "openapi")
    assert found.language == "json"
    assert [o.name for o in found.operations] == ["/a"]


def test_asyncapi_versions_two_and_three() -> None:
    two = "asyncapi: 2.6.0\nchannels:\n  rides: {publish: {summary: A ride began}}\n"
    assert [(o.verb, o.name, o.summary) for o in read_definition(two, "asyncapi").operations] == [
        ("publish", "rides", "A ride began")
    ]
    three = (
        "asyncapi: 3.0.0\nchannels: {rides: {address: rides/v1}}\n"
        "operations: {began: {action: send, channel: {$ref: '#/channels/rides'}}}\n"
    )
    assert [(o.verb, o.name, o.group) for o in read_definition(three, "asyncapi").operations] == [
        ("send", "rides/v1", "began")
    ]


def test_graphql_roots_are_operations_and_other_types_are_not() -> None:
    text = '''
    """A { brace in a description"""
    type Query @auth { ride(id: ID!, at: Time): Ride  # one
      "quoted: yes"
      rides: [Ride!]! @deprecated }
    extend type Mutation { book(
        seat: Int
      ): Ride }
    type Ride { id: ID! }
    '''
    found = read_definition(text, "graphql")
    assert [(o.verb, o.name, o.deprecated) for o in found.operations] == [
        ("query", "ride: Ride", False),
        ("query", "rides: [Ride!]!", True),
        ("mutation", "book: Ride", False),
    ]


def test_protobuf_services_and_streams() -> None:
    text = """
    // service Not { rpc A(B) returns (C); }
    service Roster {
      rpc Watch (WatchRequest) returns (stream Shift) {}
      rpc Plan(stream crew.Wish) returns (Plan);
    }
    """
    assert [(o.group, o.name, o.summary) for o in read_definition(text, "grpc").operations] == [
        ("Roster", "Watch", "WatchRequest to stream of Shift"),
        ("Roster", "Plan", "stream of crew.Wish to Plan"),
    ]


@pytest.mark.parametrize(
    "broken", ["openapi: [", "- a list", "", "just text", "openapi: 3\npaths: 7", "a: *b"]
)
def test_what_cannot_be_read_gives_a_sentence_or_nothing_but_never_fails(broken: str) -> None:
    found = read_definition(broken, "openapi")
    assert found.operations == []


def test_other_types_have_no_operations() -> None:
    assert read_definition("<wsdl/>", "wsdl").operations == []


def test_a_long_list_is_cut_and_says_how_long_it_was() -> None:
    text = "openapi: 3.0.0\npaths:\n" + "".join(
        f"  /p{n}: {{get: {{}}}}\n" for n in range(SHOWN_OPERATIONS + 5)
    )
    found = read_definition(text, "openapi")
    assert (len(found.operations), found.total) == (SHOWN_OPERATIONS, SHOWN_OPERATIONS + 5)


@given(st.text(), st.sampled_from(["openapi", "asyncapi", "graphql", "grpc", "other"]))
def test_no_text_at_all_breaks_the_reader(text: str, api_type: str) -> None:
    read_definition(text, api_type)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "openapi",
                        "asyncapi",
                        "paths",
                        "channels",
                        "operations",
                        "info",
                        "servers",
                        "get",
                        "tags",
                        "/a",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=25,
    )
)
def test_no_document_of_any_shape_breaks_the_reader(document: object) -> None:
    read_definition(orjson.dumps(document).decode(), "openapi")
