"""Whole files: places, corrected lines, and documents that stand for themselves."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.catalog.ingest.engine import FILE, outcomes

DESCRIPTOR = """\
# a comment
---
apiVersion: backstage.io/v1alpha1
kind: component
metadata:
  name: my service
  tags: [ok, 'Node.js']
  annotations:
    Acme.io/x: "1"
    acme.io/y: 5
spec:
  type: service
  lifecycle:
  dependsOn: component:x
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: two}
spec: {type: service, lifecycle: x}
"""


def test_every_problem_has_its_line_and_the_line_as_it_could_read() -> None:
    first, second = outcomes(DESCRIPTOR)
    assert [(p.rule.removeprefix("catalog."), p.line, p.corrected_line) for p in first.problems] == [
        ("structure.type", 10, '    acme.io/y: "5"'),
        ("format.name", 6, "  name: my-service"),
        ("format.annotation-key", 9, '    acme.io/x: "1"'),
        ("format.tag", 7, "  tags: [ok, 'node-js']"),
        ("kind.unknown", 4, "kind: Component"),
    ]
    assert first.problems[1].source_line == "  name: my service" and first.problems[1].column == 9
    assert {p.url for p in first.problems} == {FILE.target} and {p.document for p in first.problems} == {0}
    assert (first.ref, first.line) == ("component:default/my service", 1)
    (missing,) = second.problems
    assert (missing.document, missing.line) == (1, 19)
    assert missing.corrected_line == "spec: {type: service, lifecycle: x, owner: team-a}"


def test_the_kind_is_checked_against_its_schema_once_it_is_right() -> None:
    outcome, _ = outcomes(DESCRIPTOR.replace("kind: component", "kind: Component"))
    schema = [p for p in outcome.problems if p.rule.startswith("catalog.schema")]
    assert [(p.rule, p.line, p.corrected_line) for p in schema] == [
        ("catalog.schema.required", 11, "  owner: team-a"),
        ("catalog.schema.type", 13, ""),
        ("catalog.schema.type", 14, "  dependsOn: [component:x]"),
    ]


def test_the_line_to_add_is_indented_like_its_neighbours() -> None:
    (outcome,) = outcomes(
        "kind: Component\napiVersion: backstage.io/v1alpha1\nmetadata:\n    title: x\nspec: {}\n"
    )
    (problem,) = outcome.problems
    assert (problem.line, problem.corrected_line) == (3, "    name: my-service")


def test_a_problem_is_json() -> None:
    (outcome, _) = outcomes(DESCRIPTOR)
    body = json.loads(json.dumps(outcome.problems[0].as_dict()))
    assert body["rule"] == "catalog.structure.type" and body["line"] == 10 and "fix" not in body


def test_a_broken_document_leaves_the_others_alone() -> None:
    good = "apiVersion: backstage.io/v1alpha1\nkind: System\nmetadata: {name: NAME}\nspec: {owner: x}\n"
    results = outcomes(
        f"{good.replace('NAME', 'a')}---\na: [1\n---\n- list\n---\n{good.replace('NAME', 'b')}"
    )
    assert [(o.index, o.ref, [p.rule for p in o.problems]) for o in results] == [
        (0, "system:default/a", []),
        (1, "", ["catalog.yaml.syntax"]),
        (2, "", ["catalog.envelope.not-object"]),
        (3, "system:default/b", []),
    ]


@settings(deadline=None)
@given(st.text(max_size=200), st.integers(0, len(DESCRIPTOR)))
def test_no_text_makes_reading_a_file_fail(text: str, position: int) -> None:
    data = (DESCRIPTOR[:position] + text + DESCRIPTOR[position:]).encode("utf-8", "surrogatepass")
    for outcome in outcomes(data):
        assert outcome.processed is not None or outcome.problems
        assert all(problem.url == FILE.target for problem in outcome.problems)
