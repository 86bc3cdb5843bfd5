"""Whatever is written, patched, deleted, put back and undone, the catalog says what a plain table of documents says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from catalog.ingest.annotations import LOCATION
from catalog.models import BulkOperation, Entity, KeptDocument, Revision, Source, Tombstone
from catalog.refs import parse_ref
from catalog.services.bulk import Change, Selection, preview_bulk, start_bulk, undo_bulk
from catalog.services.managed import ANY_VERSION, delete_entity, patch_entity, put_entity, restore_revision
from catalog.services.managed.documents import as_written
from catalog.services.managed.merging import differences, merge_patch
from catalog.services.removals import restore_entity
from catalog.services.sources import request_sync
from portal.core.errors import ConflictError, NotFoundError
from portal.jobs.running import run_job
from tests.factories.managed import CURATOR, written
from tests.factories.sources import assert_catalog_is_consistent, document, forget_catalog
from tests.services.examples import examples

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = ("a", "b", "c")
titles = st.sampled_from(["One", "Two", "Three", ""])
names = st.sampled_from(NAMES)


def ref_of(name: str) -> str:
    return f"component:default/{name}"


def text(name: str, title: str, other: str) -> dict[str, Any]:
    body = written(name, **({"title": title} if title else {}))
    body["spec"]["dependsOn"] = [ref_of(other)]
    return body


class Writes(RuleBasedStateMachine):
    """``model`` has the documents by name; ``gone`` those whose last tombstone can bring them back."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, dict[str, Any]] = {}
        self.gone: dict[str, dict[str, Any]] = {}
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.operations: list[tuple[BulkOperation, dict[str, Any], dict[str, Any]]] = []

    @initialize()
    def empty(self) -> None:
        forget_catalog()

    def _wrote(self, name: str, body: dict[str, Any]) -> None:
        if self.model.get(name) != body:
            self.history.setdefault(name, []).append(body)
        self.model[name] = body

    @rule(name=names, title=titles, other=names)
    def put(self, name: str, title: str, other: str) -> None:
        body = text(name, title, other)
        result = put_entity(actor=CURATOR, ref=parse_ref(ref_of(name)), document=body, when=self._any(name))
        expected = (
            "created" if name not in self.model else "unchanged" if self.model[name] == body else "changed"
        )
        assert result.outcome == expected
        if expected == "created":
            self.history[name] = []
            self.gone.pop(name, None)
        self._wrote(name, body)

    def _any(self, name: str) -> Any:
        from catalog.services.managed import NO_CONDITION

        return ANY_VERSION if name in self.model else NO_CONDITION

    @rule(name=names, title=titles)
    def patch(self, name: str, title: str) -> None:
        change = {"metadata": {"title": title or None}}
        if name not in self.model:
            with pytest.raises(NotFoundError):
                patch_entity(actor=CURATOR, ref=parse_ref(ref_of(name)), patch=change)
            return
        patch_entity(actor=CURATOR, ref=parse_ref(ref_of(name)), patch=change)
        self._wrote(name, merge_patch(self.model[name], change))

    @rule(name=names)
    def delete(self, name: str) -> None:
        if name in self.model:
            delete_entity(actor=CURATOR, ref=parse_ref(ref_of(name)), when=ANY_VERSION)
            self.gone[name] = self.model.pop(name)

    @rule(name=names)
    def undelete(self, name: str) -> None:
        if name in self.gone and name not in self.model:
            stones = Tombstone.objects.unrestricted("test").filter(ref=ref_of(name), restored_at=None)
            restore_entity(actor=CURATOR, tombstone=stones.order_by("-pk")[0])
            self.model[name] = self.gone.pop(name)
            self.history[name].append(self.model[name])

    @rule(name=names, back=st.integers(0, 3))
    def earlier(self, name: str, back: int) -> None:
        if name in self.model:
            entity = Entity.objects.unrestricted("test").get(ref=ref_of(name))
            number = max(entity.revision - back, 1)
            restore_revision(actor=CURATOR, entity=entity, number=number)
            note(f"{name} {number} of {len(self.history[name])}")
            self._wrote(name, self.history[name][number - 1])

    @rule(title=titles, chosen=st.sets(names, min_size=1), what=st.sampled_from(["set", "delete"]))
    def bulk(self, title: str, chosen: set[str], what: str) -> None:
        selection = Selection(refs=tuple(ref_of(name) for name in chosen))
        patch = {"metadata": {"title": title or None}}
        change = Change.of({"set": patch} if what == "set" else {"delete": {}})
        seen = preview_bulk(actor=CURATOR, selection=selection, change=change)
        before = {name: self.model.get(name) for name in chosen}
        operation = start_bulk(actor=CURATOR, selection=selection, change=change, token=seen.token)
        run_job(operation.job_id)
        for name in chosen & self.model.keys():
            if what == "set":
                self._wrote(name, merge_patch(self.model[name], patch))
            else:
                self.gone[name] = self.model.pop(name)
        self.operations.append((operation, before, {name: self.model.get(name) for name in chosen}))

    @precondition(lambda self: self.operations)
    @rule()
    def undo(self) -> None:
        """Only the last operation, and only where nobody touched its entities since, so that the model stays simple."""
        operation, before, after = self.operations.pop()
        if {name: self.model.get(name) for name in after} != after:
            return
        numbers = {
            item.ref: item.after_number
            for item in operation.items.unrestricted("test").filter(effect="changed")
        }
        present = dict(Entity.objects.unrestricted("test").values_list("ref", "revision"))
        if any(present.get(ref) != number for ref, number in numbers.items()):
            return
        stones = Tombstone.objects.unrestricted("test")
        try:
            back = undo_bulk(actor=CURATOR, operation=operation)
        except ConflictError:
            assert all(before[name] == after[name] for name in after)
            return
        run_job(back.job_id)
        for item in back.items.unrestricted("test"):
            name = item.ref.rpartition("/")[2]
            if item.outcome != "done":
                assert stones.filter(ref=item.ref, restored_at=None).count() == 0 or name in self.model
                continue
            if name not in self.model:
                self.gone.pop(name, None)
                self.model[name] = before[name]
                self.history[name].append(before[name])
            else:
                self._wrote(name, before[name])

    @rule()
    def read_again(self) -> None:
        for source in Source.objects.unrestricted("test"):
            run_job(request_sync(actor=CURATOR, source=source, force=True).pk)

    @invariant()
    def catalog_says_what_the_model_says(self) -> None:
        refs = Entity.objects.unrestricted("test").values_list("ref", flat=True)
        assert sorted(refs) == sorted(ref_of(name) for name in self.model)
        kept = KeptDocument.objects.unrestricted("test").values_list("ref", flat=True)
        assert sorted(kept) == sorted(refs)
        for name, body in self.model.items():
            found = document(ref_of(name))
            assert found["metadata"]["annotations"][LOCATION].endswith(f"/component/default/{name}")
            shown = as_written(found)
            shown["metadata"].pop("namespace")
            assert shown == body
            row = Entity.objects.unrestricted("test").get(ref=ref_of(name))
            assert row.revision == len(self.history[name])
            past = Revision.objects.unrestricted("test").filter(uid=row.uid).values_list("number", flat=True)
            assert sorted(past) == list(range(1, row.revision))
        assert_catalog_is_consistent()


def test_random_writes_and_their_undoing_end_as_a_table_of_documents_does() -> None:
    run_state_machine_as_test(
        Writes,
        settings=hypothesis_settings(
            max_examples=examples(12),
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc~/"), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_patches_merge_as_the_examples_of_rfc_7396_do(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


def test_differences_name_each_path_once_and_nothing_where_nothing_differs() -> None:
    before = {"a": {"b": 1, "c/d": [1]}, "e": True}
    after = {"a": {"b": 2, "x": {}}, "e": 1}
    assert list(differences(before, after)) == [
        {"path": "/a/b", "before": 1, "after": 2},
        {"path": "/a/c~1d", "before": [1]},
        {"path": "/a/x", "after": {}},
        {"path": "/e", "before": True, "after": 1},
    ]
    assert list(differences(before, before)) == []
