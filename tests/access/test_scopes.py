from __future__ import annotations

import pytest

from portal.access.viewer import Viewer

STAFF = {"actor": "user:maren", "user_id": 1, "is_staff": True}
ACTIONS = ("view", "curate", "register", "unregister", "refresh")


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (None, set(ACTIONS)),
        (frozenset(["view"]), {"view"}),
        (frozenset(["curate"]), set(ACTIONS) - {"view"}),
        (frozenset(["view", "curate"]), set(ACTIONS)),
    ],
)
def test_a_scope_covers_the_actions_that_it_stands_for(
    scopes: frozenset[str] | None, allowed: set[str]
) -> None:
    viewer = Viewer(**STAFF, scopes=scopes)
    assert {action for action in ACTIONS if viewer.allows(action)} == allowed


def test_no_scope_gives_more_than_the_person_may() -> None:
    viewer = Viewer(actor="user:ines", user_id=2, scopes=frozenset(["view", "curate"]))
    assert {action for action in ACTIONS if viewer.allows(action)} == {"view"}
