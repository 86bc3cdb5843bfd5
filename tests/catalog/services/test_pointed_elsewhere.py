"""Sources that are pointed elsewhere or go leave room for those that come after them, and are told of still."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.models import Source
from catalog.selectors import visible_source_names
from catalog.services.sources import create_source, delete_source, update_source
from portal.access.viewer import Viewer

pytestmark = pytest.mark.django_db
BOSS = Viewer.system("test")
FIRST, OTHER = "https://git.example.com/a.yaml", "https://git.example.com/b.yaml"


def test_a_target_that_another_source_was_pointed_away_from_gets_a_location_of_its_own() -> None:
    moved = create_source(actor=BOSS, target=FIRST, sync=False)
    update_source(actor=BOSS, source=moved, changes={"target": OTHER})
    made = create_source(actor=BOSS, target=FIRST, sync=False)
    refs = set(Source.objects.unrestricted("test").values_list("entity_ref", flat=True))
    assert len(refs) == 2
    assert made.entity_ref.startswith("location:default/generated-")


def test_staff_is_told_what_happened_to_a_source_that_is_gone() -> None:
    source = create_source(actor=BOSS, target=FIRST, name="one", sync=False)
    delete_source(actor=BOSS, source=source)
    assert visible_source_names(BOSS, ["one"]) == {"one"}
    assert visible_source_names(Viewer(actor="user:a", name="a"), ["one"]) == set()


def test_what_is_seen_and_what_is_gone_is_asked_at_one_moment(django_assert_num_queries: Any) -> None:
    """Between two statements a source may go and come back, and be neither."""
    create_source(actor=BOSS, target=FIRST, name="one", sync=False)
    with django_assert_num_queries(1):
        assert visible_source_names(BOSS, ["one", "gone"]) == {"one", "gone"}
