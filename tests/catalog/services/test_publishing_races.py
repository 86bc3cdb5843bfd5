"""However readings follow or overlap each other, the catalog ends as if it had read the last files once."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connections
from hypothesis import HealthCheck, given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from catalog.models import Contender, Entity, EntityAttribute, Problem, Relation, Source
from catalog.services.sources import delete_source, update_source
from portal.jobs.models import Job
from portal.jobs.running import run_job
from tests.factories.sources import (
    SYSTEM,
    Folder,
    assert_catalog_is_consistent,
    component,
    entity,
    location,
)
from tests.services.examples import examples

pytestmark = pytest.mark.django_db(transaction=True)


def run_waiting_jobs() -> None:
    """What workers do meanwhile: read again what was asked to be read again."""
    waiting = Job.objects.unrestricted("test").filter(state=Job.State.QUEUED, kind="catalog.sync_source")
    for _ in range(20):
        jobs = list(waiting.values_list("pk", flat=True))
        for pk in jobs:
            run_job(pk)
        if not jobs:
            return
    raise AssertionError("sources make each other be read again for ever")


def catalog_now() -> dict[str, Any]:
    """Every document without what differs between two catalogs of the same files."""
    found = {}
    for row in Entity.objects.unrestricted("test").select_related("document", "source", "parent"):
        document = orjson.loads(row.document.text)
        del document["metadata"]["uid"]
        parent = row.parent.ref if row.parent else ""
        owner = row.source.name if row.source else ""
        found[row.ref] = (document, owner, parent, row.state, row.url, row.document_index, row.line)
    return found


def assert_same(grown: dict[str, Any], new: dict[str, Any]) -> None:
    assert new.keys() == grown.keys()
    for ref, found in grown.items():
        assert new[ref] == found, ref


def problems_now() -> set[tuple[str, str, str, str]]:
    rows = Problem.objects.unrestricted("test")
    return set(rows.values_list("source__name", "rule", "entity_ref", "url"))


def remove_all_sources() -> None:
    for source in Source.objects.unrestricted("test"):
        delete_source(actor=SYSTEM, source=source)
    Job.objects.unrestricted("test").filter(state=Job.State.QUEUED).delete()
    for model in (Entity, EntityAttribute, Relation, Contender, Problem):
        assert not model.objects.unrestricted("test").exists(), model


# -------------------------------------------------------------------------------------------------------- overlapping


def _in_parallel(folders: list[Folder], force: bool = False) -> None:
    barrier, failed = threading.Barrier(len(folders)), []

    def one(folder: Folder) -> None:
        try:
            barrier.wait(10)
            folder.sync(force=force)
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed, failed


SIZE = 60


def _write(folder: Folder, other: Folder, generation: int) -> None:
    """More rows than are written in one go, each with relations to both sources."""
    own = [
        component(f"{folder.name}-{n}", extra=f"title: g{generation}",
                  dependsOn=f"[component:{other.name}-{(n * generation) % SIZE}, component:{folder.name}-{n // 2}]")
        for n in range(generation, SIZE)
    ]  # fmt: skip
    shared = [component(f"shared-{n}", extra=f"title: of {folder.name}") for n in range(10)]
    folder.write("own.yaml", *own)
    folder.write("shared.yaml", *shared)


def test_two_sources_that_publish_at_once_end_as_if_one_had_waited(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    monkeypatch.setattr(import_module("catalog.services.publishing.publish"), "SQLITE_ROWS", 20)
    one, two = Folder(tmp_path / "one", "one"), Folder(tmp_path / "two", "two")
    for generation in (1, 2, 3):
        _write(one, two, generation)
        _write(two, one, generation)
        if generation == 1:  # the registrations alone, so that the threads only read
            for folder, priority in ((one, 10), (two, 100)):
                moved = folder.path.rename(folder.path.with_name("later"))
                folder.try_sync(priority=priority)
                moved.rename(folder.path)
        _in_parallel([one, two], force=True)
        run_waiting_jobs()
        assert_catalog_is_consistent()
        owners = Entity.objects.unrestricted("test").filter(ref__startswith="component:default/shared-")
        assert set(owners.values_list("source__name", flat=True)) == {"one"}
        assert Entity.objects.unrestricted("test").count() == 2 * (SIZE - generation) + 10 + 2
        assert {p.rule for p in two.problems} == {"catalog.conflict"}
    overlapped, records = catalog_now(), problems_now()
    remove_all_sources()
    one.source = two.source = None
    one.sync(priority=10)
    two.sync(priority=100)
    run_waiting_jobs()
    assert_same(overlapped, catalog_now())
    assert problems_now() == records


# --------------------------------------------------------------------------------------------------------- one by one

NAMES = ("shop", "stock", "till")
FILES = ("a.yaml", "b.yaml", "c.yaml")
PARTS = ("parts/x.txt", "parts/y.txt")
BROKEN = ("kind: [unclosed\n", "metadata: {name: shop\n", component("stock", extra="tags: [No.Good]"))

components = st.builds(
    lambda name, title, target, owner: component(
        name, owner, f"title: t{title}", dependsOn=f"[component:{target}]"
    ),
    st.sampled_from(NAMES), st.integers(1, 3), st.sampled_from(NAMES), st.sampled_from(("red", "blue")),
)  # fmt: skip
locations = st.builds(
    lambda name, targets, presence: location(name, *[f"./{t}" for t in targets], presence=presence),
    st.sampled_from(("root", "branch")), st.lists(st.sampled_from(PARTS), min_size=1, max_size=2, unique=True),
    st.sampled_from(("", "optional")),
)  # fmt: skip
documents = st.lists(
    st.one_of(components, components, locations, st.sampled_from(BROKEN)), min_size=0, max_size=3
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 1), st.sampled_from(FILES), documents),
        st.tuples(st.just("write"), st.integers(0, 1), st.sampled_from(PARTS), documents),
        st.tuples(st.just("remove"), st.integers(0, 1), st.sampled_from(FILES + PARTS), st.none()),
        st.tuples(st.just("rename"), st.integers(0, 1), st.sampled_from(FILES), st.sampled_from(FILES)),
        st.tuples(st.just("rank"), st.just(0), st.sampled_from((50, 150)), st.none()),
    ),
    min_size=1, max_size=5,
)  # fmt: skip


class _Files:
    """Two folders of descriptors, and what is done to them."""

    def __init__(self, root: Path) -> None:
        self.folders = [Folder(root / name, name) for name in ("one", "two")]
        self.ranks = [50, 100]

    def do(self, action: str, which: int, what: Any, more: Any) -> None:
        folder = self.folders[which]
        if action == "write":
            folder.write(what, *more)
        elif action == "remove":
            (folder.path / what).unlink(missing_ok=True)
        elif action == "rename" and (folder.path / what).exists():
            (folder.path / what).rename(folder.path / more)
        elif action == "rank":
            self.ranks[0] = what
            update_source(actor=SYSTEM, source=folder.source, changes={"priority": what})
        self.sync(which)

    def sync(self, which: int) -> None:
        self.folders[which].try_sync(priority=self.ranks[which])
        run_waiting_jobs()

    def mend(self) -> None:
        """Take out what keeps an earlier version alive, which a catalog that never saw it cannot have."""
        for folder in self.folders:
            for part in PARTS:
                if not (folder.path / part).exists():
                    folder.write(part, component("part"))
            for file in folder.path.rglob("*.*"):
                texts = file.read_text().split("---\n")
                file.write_text("---\n".join(t for t in texts if t not in BROKEN))

    def start_again(self) -> None:
        remove_all_sources()
        for which, folder in enumerate(self.folders):
            folder.source = None
            self.sync(which)


@pytest.fixture
def roots(tmp_path: Path, settings: Any) -> Iterator[Path]:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    yield tmp_path


@hypothesis_settings(
    max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(todo=steps)
def test_after_any_edits_the_catalog_is_what_a_new_one_would_read(roots: Path, todo: list[Any]) -> None:
    remove_all_sources()
    shutil.rmtree(roots / "now", ignore_errors=True)
    files = _Files(roots / "now")
    for which in (0, 1):
        files.sync(which)
    for step in todo:
        note(str(step))
        files.do(*step)
        assert_catalog_is_consistent()
    files.mend()
    for which in (0, 1):
        files.sync(which)
        assert_catalog_is_consistent()
    grown, records = catalog_now(), problems_now()
    files.start_again()
    assert_catalog_is_consistent()
    assert_same(grown, catalog_now())
    assert problems_now() == records


def test_when_the_winner_stops_declaring_an_entity_the_other_source_takes_over(roots: Path) -> None:
    files = _Files(roots / "now")
    files.do("write", 1, "a.yaml", [component("shop", extra="title: second")])
    files.do("write", 0, "a.yaml", [component("shop", extra="title: first")])
    uid = entity("component:default/shop").uid
    assert [p.rule for p in files.folders[1].problems] == ["catalog.conflict"], (
        "the one that lost says so at once"
    )
    files.do("remove", 0, "a.yaml", None)
    taken = entity("component:default/shop")
    assert (taken.source, taken.label) == (files.folders[1].source, "second")
    assert taken.uid != uid
    assert files.folders[1].problems == []


def test_a_location_that_appears_later_is_the_parent_of_what_it_led_to_before(roots: Path) -> None:
    files = _Files(roots / "now")
    files.do("write", 0, PARTS[0], [component("shop")])
    files.do("write", 0, "a.yaml", [location("root", *[f"./{part}" for part in PARTS])])
    assert entity("component:default/shop").parent is None
    files.do("write", 0, PARTS[1], [component("stock")])
    assert entity("component:default/shop").parent == entity("location:default/root")
    files.do("write", 1, "a.yaml", [location("root", *[f"./{part}" for part in PARTS])])
    files.do("write", 1, PARTS[0], [component("till")])
    files.do("write", 1, PARTS[1], [])
    files.do("rank", 0, 150, None)
    assert entity("component:default/till").parent == entity("location:default/root"), (
        "also where it was taken over"
    )
    assert_catalog_is_consistent()


def test_a_source_that_is_ranked_lower_hands_over_what_others_declare_too(roots: Path) -> None:
    files = _Files(roots / "now")
    files.do("write", 0, "a.yaml", [component("shop", extra="title: first")])
    files.do("write", 1, "a.yaml", [component("shop", extra="title: second")])
    assert entity("component:default/shop").label == "first"
    files.do("rank", 0, 150, None)
    assert entity("component:default/shop").label == "second"
    files.do("rank", 0, 50, None)
    assert entity("component:default/shop").label == "first"
    assert_catalog_is_consistent()
