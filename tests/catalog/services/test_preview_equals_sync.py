"""Apply equals preview: for random catalogs and random edits the report says exactly what the next sync then does."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from catalog.diff import apply_changes, diff_documents
from catalog.ingest.sources import SentFiles
from catalog.models import Contender, Entity, Problem, Quarantine, Relation, Source
from catalog.services.preview import Report, preview_changes
from tests.factories.sources import SYSTEM, Folder, forget_catalog
from tests.services.examples import examples

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.req("R031")]

Tree = dict[str, list[dict[str, Any]]]
REFS = ["component:a", "component:b", "component:c", "group:a", "system:a", "component:away"]


def descriptor(kind: str, name: str, spec: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


METADATA = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["One", "Two"]),
        "tags": st.lists(st.sampled_from(["java", "web", "Bad Tag"]), max_size=2, unique=True),
        "links": st.lists(
            st.fixed_dictionaries(
                {"url": st.sampled_from(["https://a.example", "https://b.example"])},
                optional={"title": st.just("t")},
            ),
            max_size=2,
        ),
    },
)
COMPONENTS = st.builds(
    lambda name, owner, depends, metadata: descriptor(
        "Component",
        name,
        {"type": "service", "lifecycle": "production", "owner": owner, "dependsOn": depends},
        metadata,
    ),
    st.sampled_from("abcd"),
    st.sampled_from(["a", "b"]),
    st.lists(st.sampled_from(REFS), max_size=3, unique=True),
    METADATA,
)
GROUPS = st.builds(
    lambda name, children: descriptor("Group", name, {"type": "team", "children": children}, {}),
    st.sampled_from("ab"),
    st.lists(st.sampled_from("abc"), max_size=2, unique=True),
)
SYSTEMS = st.builds(
    lambda owner, metadata: descriptor("System", "a", {"owner": owner}, metadata),
    st.sampled_from("ab"),
    METADATA,
)
LOCATIONS = st.builds(
    lambda name, targets: descriptor("Location", name, {"targets": targets}, {}),
    st.sampled_from("lm"),
    st.lists(st.sampled_from(["./x.yml", "./y.yml"]), min_size=1, max_size=2, unique=True),
)
#: What no document of a catalog looks like.
BROKEN = st.sampled_from([{"kind": "Nothing"}, descriptor("Component", "b", {"type": "service"}, {})])
DOCUMENTS = st.lists(
    st.one_of(COMPONENTS, COMPONENTS, COMPONENTS, GROUPS, SYSTEMS, LOCATIONS, BROKEN), min_size=1, max_size=3
)
#: ``.yml`` files are read where a Location leads to them only.
NAMES = st.sampled_from(["1.yaml", "2.yaml", "deep/3.yaml", "x.yml", "y.yml"])
TREES = st.dictionaries(NAMES, DOCUMENTS, min_size=1, max_size=4)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Tree, Tree]:
    """Two states of a source that have much in common."""
    before = draw(TREES)
    after = {**before, **draw(st.dictionaries(NAMES, DOCUMENTS, max_size=2))}
    for name in draw(st.lists(st.sampled_from(sorted(after)), max_size=2, unique=True)):
        if len(after) > 1:
            after.pop(name)
    return before, after


def texts(tree: Tree) -> dict[str, str]:
    return {name: yaml.safe_dump_all(documents, sort_keys=False) for name, documents in tree.items()}


def put(folder: Folder, tree: Tree) -> None:
    shutil.rmtree(folder.path)
    folder.path.mkdir()
    for name, text in texts(tree).items():
        folder.write(name, text)


class State:
    """The catalog at one moment."""

    def __init__(self) -> None:
        rows = Entity.objects.unrestricted("test").select_related("document")
        self.rows = {row.ref: row for row in rows}
        self.documents = {ref: comparable(row.document.text) for ref, row in self.rows.items()}
        relations = Relation.objects.unrestricted("test").values_list(
            "source_ref", "type", "target_ref", "origin__ref"
        )
        self.references = {(ref, kind, target) for ref, kind, target, origin in relations if ref == origin}

    def led_nowhere(self) -> set[tuple[str, str, str]]:
        return {reference for reference in self.references if reference[2] not in self.rows}

    def relations(self, ref: str) -> set[tuple[str, str]]:
        return {(r["type"], r["targetRef"]) for r in self.documents[ref]["relations"]}


def comparable(text: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(text)
    for name in ("uid", "etag"):
        del found["metadata"][name]
    return found


def refs(report: Report, what: Any) -> set[str]:
    return {entity.ref for entity in report.of(what)}


def assert_entities(report: Report, before: State, after: State, result: Mapping[str, Any]) -> None:
    renamed = {entity.ref: entity.before for entity in report.of("rename")}
    assert refs(report, "appear") | renamed.keys() == after.rows.keys() - before.rows.keys()
    assert refs(report, "remove") | set(renamed.values()) == before.rows.keys() - after.rows.keys()
    for ref, earlier in renamed.items():
        assert after.rows[ref].uid == before.rows[earlier].uid
    counts = report.counts
    assert (counts["appear"], counts["change"] + len(renamed), counts["remove"]) == (
        result["added"],
        result["changed"],
        result["removed"],
    )
    for entity in report.of("appear"):
        assert entity.document == after.documents[entity.ref], entity.ref
    for entity in (*report.of("change"), *report.of("rename")):
        applied = apply_changes(before.documents[renamed.get(entity.ref, entity.ref)], entity.changes)
        assert diff_documents(applied, after.documents[entity.ref]) == [], entity.ref
    for entity in (*report.of("appear"), *report.of("change"), *report.of("move"), *report.of("rename")):
        row = after.rows[entity.ref]
        place = (entity.place.url, entity.place.document, entity.place.line)
        assert place == (row.url, row.document_index, row.line), entity.ref
    moved = {
        ref for ref in before.rows.keys() & after.rows.keys() if before.rows[ref].url != after.rows[ref].url
    }
    assert refs(report, "move") <= moved | {ref for ref, row in before.rows.items() if row.state != "active"}
    assert moved <= refs(report, "move") | refs(report, "change")
    missing = {ref for ref, row in after.rows.items() if row.state == "missing"}
    assert refs(report, "missing") == missing - {
        r for r, row in before.rows.items() if row.state == "missing"
    }


def assert_others(report: Report, before: State, after: State) -> None:
    """What the report does not name stays as it was, but for the relations that it tells."""
    told = {change.ref: change for change in report.relations}
    for ref in before.rows.keys() & after.rows.keys():
        if ref in refs(report, "change"):
            assert ref not in told
            continue
        old, new = before.relations(ref), after.relations(ref)
        gained, lost = (set(told[ref].added), set(told[ref].removed)) if ref in told else (set(), set())
        assert (new - old, old - new) == (gained, lost), ref
        left = [
            {k: v for k, v in state.documents[ref].items() if k not in ("relations", "status")}
            for state in (before, after)
        ]
        assert left[0] == left[1], ref


def assert_records(report: Report, source: Source, before: State, after: State) -> None:
    failing = {ref for ref, row in after.rows.items() if row.has_errors and row.source_id == source.pk}
    assert refs(report, "fail") == failing
    contenders = Contender.objects.unrestricted("test").filter(source=source, same_file=False)
    lost = {(c.ref, c.loser.place.url, c.loser.place.document) for c in report.conflicts if not c.ours}
    assert lost == set(contenders.values_list("entity_ref", "url", "document"))
    own = Problem.objects.unrestricted("test").filter(source=source)
    stored = {
        (p.rule, p.url, p.document, p.path, p.entity_ref)
        for p in own
        if p.rule not in ("catalog.conflict", "catalog.removal.held")
    }
    assert {
        (f.problem.rule, f.problem.url, f.problem.document, f.problem.path, f.ref)
        for f in report.problems
        if f.problem.rule != "catalog.conflict"
    } == stored
    question = Quarantine.objects.unrestricted("test").filter(source=source).first()
    assert (report.held is None) == (question is None)
    if report.held is not None and question is not None:
        assert (list(report.held.refs), report.held.total) == (question.refs, question.total)
    nowhere, then = before.led_nowhere(), after.led_nowhere()
    assert {(r.ref, r.type, r.target) for r in report.dangling} == then - nowhere
    assert {(r.ref, r.type, r.target) for r in report.mended} == {
        reference for reference in nowhere - then if reference[0] in after.rows
    }


@settings(
    max_examples=examples(25),
    deadline=None,
    phases=[
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ],  # each example is three syncs: shrinking takes minutes
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@given(edits(), TREES, st.sampled_from([50, 100, 150]), st.booleans())
def test_apply_equals_preview(
    tmp_path: Path,
    settings: Any,
    states: tuple[Tree, Tree],
    neighbour: Tree,
    priority: int,
    neighbour_first: bool,
) -> None:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    settings.CALLBOARD_REMOVAL_LEAST, settings.CALLBOARD_REMOVAL_SHARE = 3, 0.5
    forget_catalog()
    ours, other = Folder(tmp_path / "ours", "ours"), Folder(tmp_path / "other", "other")
    put(ours, states[0])
    put(other, neighbour)
    for folder in (other, ours) if neighbour_first else (ours, other):
        folder.try_sync(priority=priority if folder is other else 100)
    assert ours.source is not None
    sent = SentFiles.of(
        [(name, text.encode()) for name, text in texts(states[1]).items()], file_bytes=1_000_000
    )

    before = State()
    asked = preview_changes(actor=SYSTEM, source=ours.source, sent=sent)
    put(ours, states[1])
    read = preview_changes(actor=SYSTEM, source=ours.source)
    result = ours.try_sync(force=True).result or {}
    after = State()

    for report in (asked, read):
        assert_entities(report, before, after, result)
        assert_others(report, before, after)
        assert_records(report, ours.source, before, after)
