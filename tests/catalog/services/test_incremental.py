"""Reading only what changed comes to the same catalog as reading everything, whatever was changed before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from catalog.ingest.records import FileRecord
from catalog.models import (
    Contender,
    Entity,
    EntityDocument,
    Problem,
    Quarantine,
    Relation,
    Source,
    SourceFile,
)
from catalog.services.kinds import switch_kind_version
from catalog.services.publishing import remove_entity
from catalog.services.sources import create_source, request_sync, update_source
from portal.jobs.models import Job
from portal.jobs.running import run_job
from tests.factories.sources import SYSTEM, assert_catalog_is_consistent, component, forget_catalog, location
from tests.services.examples import examples

pytestmark = pytest.mark.django_db(transaction=True)

EXAMPLES = int(os.environ.get("CALLBOARD_INCREMENTAL_EXAMPLES", examples(25)))
SOURCES = ("one", "two")
GROUP = (
    "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {{name: {name}}}\n"
    "spec: {{type: team, children: [], members: [{member}]}}\n"
)
TOOL = "apiVersion: backstage.io/v1alpha1\nkind: Resource\nmetadata: {name: store}\nspec: {type: database, owner: b}\n"
CLASH = (
    "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: clash, labels: {a: x, A: y}}\n"
    "spec: {type: service, lifecycle: production, owner: a}\n"
)
NAMES = st.sampled_from("abcde")
FILES = st.sampled_from(["a.yaml", "b.yaml", "deep/c.yaml", "deep/d.yaml", "x.yml", "y.yml", "deep/z.yml"])
TEXTS = st.sampled_from(["t1.txt", "t2.txt"])
TARGETS = st.sampled_from(
    [
        "./x.yml",
        "./y.yml",
        "./deep/z.yml",
        "./deep/*.yml",
        "./*.yml",
        "./a.yaml",
        "./gone.yml",
        "../one/x.yml",
    ]
)


def _included(name: str, text: str) -> str:
    return component(name, extra=f"description:\n  $text: ./{text}")


DOCUMENTS = st.one_of(
    st.builds(
        lambda name, title: component(name, extra=f"title: {title}"),
        NAMES,
        st.sampled_from(["One", "Two", "Three"]),
    ),
    st.builds(lambda name, to: component(name, dependsOn=f"[component:{to}]"), NAMES, NAMES),
    st.builds(lambda name, owner: component(name, owner=owner), NAMES, NAMES),
    st.builds(lambda name, member: GROUP.format(name=name, member=member), NAMES, NAMES),
    st.builds(
        lambda name, targets, presence: location(name, *targets, presence=presence),
        NAMES,
        st.lists(TARGETS, min_size=1, max_size=2),
        st.sampled_from(["", "optional"]),
    ),
    st.builds(_included, NAMES, TEXTS),
    st.builds(lambda name: component(name).replace("owner:", "owned:"), NAMES),  # refused
    st.builds(lambda name: component(name, extra="tags: [a, a]\nlabels: {x: 'not/ok/'}"), NAMES),
    st.sampled_from([TOOL, CLASH, "a: [\n", "kind: Component\n", "- just a list\n", ""]),
)


@dataclass
class World:
    """Two folders, the sources that read them, and how they are read."""

    root: Path
    force: bool = False
    kept: dict[str, str] = field(default_factory=dict)

    def build(self) -> None:
        for name in SOURCES:
            (self.root / name / "deep").mkdir(parents=True)
            create_source(
                actor=SYSTEM, name=name, target=str(self.root / name), type=Source.Type.FILE, sync=False,
                pattern="**/*.yaml", allowed_kinds=["Component", "Group", "Location", "Resource"],
                registered_by=Source.RegisteredBy.COMMAND,
            )  # fmt: skip

    def read(self, *names: str, force: bool | None = None) -> None:
        """Read these sources, and whatever that asks for."""
        for name in names:
            source = Source.objects.unrestricted("test").get(name=name)
            request_sync(actor=SYSTEM, source=source, force=self.force if force is None else force)
        for _ in range(50):
            waiting = Job.objects.unrestricted("test").filter(state=Job.State.QUEUED).order_by("created_at")
            if (job := waiting.first()) is None:
                return
            assert run_job(job.pk) in (Job.State.SUCCEEDED, Job.State.FAILED)
        raise AssertionError("The sources ask for each other for ever.")


Step = Callable[[World], None]


def _write(source: str, name: str, documents: list[str]) -> Step:
    def step(world: World) -> None:
        path = world.root / source / name
        path.unlink(missing_ok=True)
        path.write_text("---\n".join(documents))

    return step


def _remove(source: str, name: str) -> Step:
    return lambda world: (world.root / source / name).unlink(missing_ok=True)


def _rename(source: str, name: str, new: str) -> Step:
    def step(world: World) -> None:
        path = world.root / source / name
        if path.exists() or path.is_symlink():
            path.rename(world.root / source / new)

    return step


def _touch(source: str, name: str) -> Step:
    """The same bytes, as a checkout leaves them."""

    def step(world: World) -> None:
        path = world.root / source / name
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            path.unlink()
            path.write_bytes(data)

    return step


def _unreadable(source: str, name: str) -> Step:
    """A link that leads outside of what may be read."""

    def step(world: World) -> None:
        path = world.root / source / name
        path.unlink(missing_ok=True)
        path.symlink_to("/proc/version")

    return step


def _delete(ref: str) -> Step:
    def step(world: World) -> None:
        uid = Entity.objects.unrestricted("test").filter(ref=ref).values_list("uid", flat=True).first()
        for source in remove_entity(actor=SYSTEM, uid=str(uid)) if uid is not None else ():
            request_sync(actor=SYSTEM, source=source, force=True)

    return step


def _priority(source: str, number: int) -> Step:
    def step(world: World) -> None:
        row = Source.objects.unrestricted("test").get(name=source)
        update_source(actor=SYSTEM, source=row, changes={"priority": number})

    return step


def _kind(enabled: bool) -> Step:
    def step(world: World) -> None:
        switch_kind_version(actor=SYSTEM, kind="Resource", spec_type="", enabled=enabled)

    return step


def _read(*names: str) -> Step:
    return lambda world: world.read(*names)


WHERE = st.sampled_from(SOURCES)
WRITES = st.builds(_write, WHERE, FILES, st.lists(DOCUMENTS, min_size=1, max_size=3))
STEPS = st.lists(
    st.one_of(
        WRITES,
        WRITES,
        st.builds(_write, WHERE, TEXTS, st.sampled_from([["one"], ["two"]])),
        st.builds(
            _write, WHERE, st.builds(lambda n: f"deep/{n}", TEXTS), st.sampled_from([["three"], ["four"]])
        ),
        st.builds(_remove, WHERE, st.one_of(FILES, TEXTS)),
        st.builds(_rename, WHERE, FILES, FILES),
        st.builds(_touch, WHERE, FILES),
        st.builds(_unreadable, WHERE, FILES),
        st.builds(_delete, st.builds(lambda name: f"component:default/{name}", NAMES)),
        st.builds(_priority, WHERE, st.sampled_from([50, 100, 150])),
        st.builds(_kind, st.booleans()),
        st.sampled_from([_read("one"), _read("two"), _read(*SOURCES), _read(*SOURCES)]),
    ),
    min_size=4,
    max_size=24,
)


def _rows(model: Any, *columns: str) -> list[tuple[Any, ...]]:
    return sorted(model.objects.unrestricted("test").values_list(*columns), key=repr)


def snapshot() -> dict[str, Any]:
    """Everything in the catalog but keys, times and what is different for each new entity."""
    texts = dict(EntityDocument.objects.unrestricted("test").values_list("entity__ref", "text"))
    uids = dict(Entity.objects.unrestricted("test").values_list("ref", "uid"))
    return {
        "documents": {ref: text.replace(str(uids[ref]), "") for ref, text in texts.items()},
        "entities": _rows(
            Entity, "ref", "label", "type", "owner_ref", "system_ref", "state", "state_reason", "has_errors",
            "etag", "content_hash", "source__name", "parent__ref", "url", "document_index", "line", "commit",
        ),
        "relations": _rows(Relation, "origin__ref", "source_ref", "type", "target_ref"),
        "problems": _rows(
            Problem, "source__name", "fingerprint", "severity", "rule", "message", "remedy", "entity_ref",
            "owner_ref", "url", "document", "line", "column", "path", "value", "source_line", "corrected_line",
        ),
        "contenders": sorted(set(_rows(
            Contender, "source__name", "entity_ref", "parent_ref", "url", "document", "line", "same_file"
        ))),
        "held": _rows(Quarantine, "source__name", "digest", "count", "total", "state"),
        # A reading that found nothing new says so, where a forced one says again what is wrong.
        "sources": [
            (name, state == "failed", error)
            for name, state, error in _rows(Source, "name", "state", "last_error")
        ],
    }  # fmt: skip


def memory() -> dict[str, Any]:
    """What is remembered of files, but for fingerprints of declarations that do not count."""
    rows = {}
    for url, version, digest, mark, text in SourceFile.objects.unrestricted("test").values_list(
        "url", "version", "digest", "mark", "record"
    ):
        record = FileRecord.decode(text) if text else None
        kept = record and [(d.number, d.ref, d.won, d.digest if d.won else "") for d in record.documents]
        rows[url] = (
            version,
            digest,
            mark,
            record and (record.parent, record.placeholders, record.stands),
            kept,
        )
    return rows


def wipe(root: Path) -> None:
    switch_kind_version(actor=SYSTEM, kind="Resource", spec_type="", enabled=True)
    forget_catalog()
    shutil.rmtree(root, ignore_errors=True)


def live(world: World, steps: list[Step]) -> dict[str, Any]:
    world.build()
    for step in steps:
        step(world)
    world.read(*SOURCES)
    assert_catalog_is_consistent()
    return snapshot()


@pytest.fixture
def root(tmp_path: Path, settings: Any) -> Iterator[Path]:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    settings.CALLBOARD_REMOVAL_LEAST = 4
    yield tmp_path / "world"
    wipe(tmp_path / "world")


@settings(
    max_examples=EXAMPLES,
    phases=[
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ],  # each example reads dozens of times; making it smaller takes hours
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_reading_what_changed_and_reading_everything_each_time_come_to_the_same(
    root: Path, steps: list[Step]
) -> None:
    wipe(root)
    whole = live(World(root, force=True), steps)
    wipe(root)
    world = World(root)
    partial = live(world, steps)
    assert {name: partial[name] for name in partial if partial[name] != whole[name]} == {
        name: whole[name] for name in partial if partial[name] != whole[name]
    }
    remembered = memory()
    world.read(*SOURCES, force=True)
    assert snapshot() == partial, "reading everything once more changes something"
    assert memory() == remembered
