"""Reports as text: nothing in a descriptor can break out of the form it is shown in."""

from __future__ import annotations

import json

import pytest

from catalog.diff import Change, diff_documents
from catalog.ingest.problems import Problem
from catalog.presenters.preview_text import RENDERERS, change_text, summary
from catalog.services.preview.report import EntityChange, Finding, HeldBack, Place, Reference, Report

PLACE = Place("https://git.example.org/a.yaml", "a,b:c.yaml", 0, 3)


def report(message: str = "It is wrong.", **values: object) -> Report:
    problem = Problem("catalog.rule", message, remedy="Mend it.", url=PLACE.url, line=3)
    return Report("shop", "t", problems=[Finding(problem, "component:default/a", PLACE)], **values)  # type: ignore[arg-type]  # of the test's own


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"a": 1}, {"a": 2}, "a: 1 -> 2"),
        ({"metadata": {"tags": ["x"]}}, {"metadata": {"tags": []}}, 'metadata.tags: removed "x"'),
        (
            {"relations": []},
            {"relations": [{"type": "ownedBy", "targetRef": "group:default/g"}]},
            "relations: added ownedBy group:default/g",
        ),
        ({}, {"b": {"c": None}}, 'b: added {"c":null}'),
    ],
)
def test_a_difference_is_one_line(old: dict[str, object], new: dict[str, object], said: str) -> None:
    (change,) = diff_documents(old, new)
    assert change_text(change) == said


def test_long_values_are_cut() -> None:
    assert len(change_text(Change(("a",), "added", new="x" * 500))) < 150


def test_an_annotation_of_github_stays_one_command() -> None:
    text = RENDERERS["github"](report("First%\n::error::second"))

    first, notice = text.splitlines()
    assert first == (
        "::error file=a%2Cb%3Ac.yaml,line=3,title=catalog.rule::First%25%0A::error::second%0AMend it."
    )
    assert notice.startswith("::notice title=Catalog::")


def test_a_comment_in_markdown_cannot_leave_its_block() -> None:
    text = RENDERERS["markdown"](report("```\n<script>", unread="<b>`x`</b>"))

    assert text.count("```") % 2 == 0
    assert "'''" in text
    assert "**It could not be read:** &lt;b>\\`x\\`&lt;/b>" in text


def test_reports_for_machines_are_json_with_every_finding() -> None:
    one = report(
        dangling=[Reference("component:default/a", "ownedBy", "group:default/b", True, PLACE)],
        held=HeldBack(("a", "b"), 3),
        entities=[EntityChange("appear", "component:default/a", PLACE, document={})],
    )

    assert [r["ruleId"] for r in json.loads(RENDERERS["sarif"](one))["runs"][0]["results"]] == [
        "catalog.rule", "catalog.reference.nothing",
    ]  # fmt: skip
    assert [issue["severity"] for issue in json.loads(RENDERERS["gitlab"](one))] == ["major", "minor"]
    assert json.loads(RENDERERS["json"](one))["held"] == {"count": 2, "total": 3, "refs": ["a", "b"]}
    assert summary(one) == "1 appears. 1 problem, 1 new reference to nothing."


def test_long_lists_are_cut_in_answers_and_their_rest_is_counted() -> None:
    entities = [EntityChange("remove", f"component:default/c{n}", PLACE) for n in range(1_205)]
    found = Report("shop", "t", entities=entities).as_json()

    assert (len(found["entities"]), found["leftOff"]) == (1_000, {"entities": 205})
    assert found["counts"]["remove"] == 1_205
    assert "… and 1,005 more" in RENDERERS["text"](Report("shop", "t", entities=entities))
