"""What a reading does not do when little has changed: fetch, parse, load and write everything again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.ingest import collect
from catalog.models import Entity, Source, SourceFile
from catalog.services.kinds import switch_kind_version
from catalog.services.sources import create_source, request_sync
from portal.jobs.models import Job
from portal.jobs.running import run_job
from tests.factories.connections import ConnectionFactory
from tests.factories.sources import SYSTEM, Folder, component, document, entity, exists, location
from tests.services.git_server import BareRepository, GitServer, git_server

__all__ = ["git_server"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Folder:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path]
    return Folder(tmp_path / "one", "one")


@pytest.fixture
def processed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses of the documents that were processed, one for each."""
    found: list[str] = []
    original = collect.process_file

    def counting(data: bytes, **values: Any) -> Any:
        for outcome in original(data, **values):
            if not outcome.skipped:
                found.append(values["location"].target.rpartition("/")[2])
            yield outcome

    monkeypatch.setattr(collect, "process_file", counting)
    return found


def test_only_the_changed_documents_of_changed_files_are_processed(
    folder: Folder, processed: list[str]
) -> None:
    for name in "abc":
        folder.write(f"{name}.yaml", component(name), component(f"{name}-2"))
    folder.sync()
    processed.clear()
    folder.write("b.yaml", component("b"), component("b-2", extra="title: New"))
    result = folder.sync()
    assert (result["entities"], result["changed"], result["removed"]) == (7, 1, 0)
    assert processed == ["b.yaml"]
    assert entity("component:default/b-2").label == "new"


def test_a_document_that_only_moves_within_its_file_keeps_what_it_says(
    folder: Folder, processed: list[str]
) -> None:
    folder.write("a.yaml", component("a"), component("b"))
    folder.sync()
    before = entity("component:default/b")
    processed.clear()
    folder.write("a.yaml", component("new"), component("a"), component("b"))
    assert folder.sync()["added"] == 1
    after = entity("component:default/b")
    assert processed == ["a.yaml"]
    assert (after.document_index, after.etag, after.changed_at) == (2, before.etag, before.changed_at)
    assert after.line > before.line


def test_a_file_is_processed_when_a_placeholder_of_it_changes(folder: Folder) -> None:
    folder.write("a.yaml", component("a", extra="description:\n  $text: ./about.txt"))
    (folder.path / "about.txt").write_text("one")
    folder.sync()
    (folder.path / "about.txt").write_text("another")
    assert folder.sync()["changed"] == 1
    assert document("component:default/a")["metadata"]["description"] == "another"


def test_a_placeholder_that_led_to_nothing_is_looked_for_each_time(folder: Folder) -> None:
    folder.write("a.yaml", component("a", extra="description:\n  $text: ./about.txt"), component("b"))
    folder.sync()
    assert not exists("component:default/a")
    folder.write("c.yaml", component("c"))
    (folder.path / "about.txt").write_text("there now")
    folder.sync()
    assert exists("component:default/a")
    folder.remove("a.yaml")
    folder.sync()
    assert not exists("component:default/b")


def test_targets_of_a_carried_location_are_walked(folder: Folder) -> None:
    folder.write("a.yaml", location("more", "./x.yml"))
    folder.write("x.yml", component("x"))
    folder.sync()
    folder.write("x.yml", component("x", extra="title: New"))
    folder.sync()
    assert entity("component:default/x").label == "new"
    folder.remove("x.yml")
    folder.sync()
    assert (entity("component:default/x").state, entity("location:default/more").has_errors) == (
        Entity.State.MISSING,
        True,
    )
    folder.write("x.yml", component("x", extra="title: New"))
    folder.sync()
    assert (entity("component:default/x").state, entity("location:default/more").has_errors) == (
        Entity.State.ACTIVE,
        False,
    )


def test_problems_of_carried_files_stay_with_their_owner(folder: Folder, processed: list[str]) -> None:
    folder.write("a.yaml", component("a", owner="crew").replace("lifecycle:", "life:"))
    folder.write("b.yaml", component("b", extra="title: One"))
    folder.sync()
    before = folder.problems
    processed.clear()
    folder.write("b.yaml", component("b", extra="title: Two"))
    folder.sync()
    after = folder.problems
    assert processed == ["b.yaml"]
    assert [(p.pk, p.message, p.line) for p in after] == [(p.pk, p.message, p.line) for p in before]
    assert {p.owner_ref for p in after} == {"group:default/crew"}
    assert after[0].last_seen_at > before[0].last_seen_at


def test_other_kinds_or_a_forced_reading_process_everything(folder: Folder, processed: list[str]) -> None:
    for name in "abc":
        folder.write(f"{name}.yaml", component(name))
    folder.sync()
    processed.clear()
    switch_kind_version(actor=SYSTEM, kind="Resource", spec_type="", enabled=False)
    folder.write("a.yaml", component("a", extra="title: Two"))
    folder.sync()
    assert sorted(processed) == ["a.yaml", "b.yaml", "c.yaml"]
    processed.clear()
    folder.sync(force=True)
    assert sorted(processed) == ["a.yaml", "b.yaml", "c.yaml"]


def test_a_sync_that_ended_in_the_middle_of_writing_is_followed_by_a_whole_one(
    folder: Folder, processed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it wrote is remembered of no file: carrying over would leave it for ever."""
    folder.write("a.yaml", component("a"))
    folder.write("b.yaml", component("b"))
    folder.sync()
    folder.write("new.yaml", component("new"))
    with monkeypatch.context() as patched:
        patched.setattr("catalog.services.syncing.replace_problems", _die)
        assert folder.try_sync().state == Job.State.FAILED
    assert exists("component:default/new")
    folder.remove("new.yaml")
    processed.clear()
    folder.sync()
    assert not exists("component:default/new")
    assert sorted(processed) == ["a.yaml", "b.yaml"]


def _die(**_: Any) -> int:
    raise RuntimeError("killed")


def test_the_number_of_rows_that_are_loaded_does_not_grow_with_the_source(folder: Folder) -> None:
    for number in range(60):
        folder.write(f"f{number}.yaml", *(component(f"c-{number}-{i}") for i in range(5)))
    folder.sync()
    folder.write(
        "f7.yaml", component("c-7-0", extra="title: New"), *(component(f"c-7-{i}") for i in range(1, 5))
    )
    with CaptureQueriesContext(connection) as captured:
        assert folder.sync()["changed"] == 1
    written = [
        q["sql"] for q in captured if any(word in q["sql"] for word in ("UPDATE ", "INSERT ", "DELETE "))
    ]
    files = [sql for sql in written if "catalog_sourcefile" in sql]
    assert len(files) == 1, files
    whole = [q["sql"] for q in captured if 'FROM "catalog_entity"' in q["sql"] and "content_hash" in q["sql"]]
    assert whole and all(" IN (" in sql or "has_errors" in sql for sql in whole), whole


@pytest.fixture
def shop(git_server: GitServer) -> BareRepository:
    ConnectionFactory(host=git_server.host, base_url=git_server.base, kind="github", allow_private=True)
    return git_server.repository("acme/shop")


def _read(source: Source) -> dict[str, Any]:
    job = request_sync(actor=SYSTEM, source=source)
    run_job(job.pk)
    result = Job.objects.unrestricted("test").get(pk=job.pk).result
    assert result is not None
    return dict(result)


def test_a_commit_writes_what_it_changed_and_nothing_else(
    git_server: GitServer, shop: BareRepository, processed: list[str]
) -> None:
    first = shop.commit({f"s{n}/catalog-info.yaml": component(f"s{n}") for n in range(20)})
    source = create_source(
        actor=SYSTEM, name="shop", target=git_server.url("acme/shop"), type=Source.Type.GIT, sync=False,
        pattern="**/catalog-info.yaml", allowed_kinds=["Component", "Location"],
    )  # fmt: skip
    assert _read(source)["added"] == 21
    processed.clear()
    second = shop.commit({"s3/catalog-info.yaml": component("s3", extra="title: New"), "README.md": "hello"})
    rows = dict(SourceFile.objects.unrestricted("test").values_list("url", "version"))
    assert _read(source)["changed"] == 1
    assert len(processed) == 1
    assert (entity("component:default/s3").commit, entity("component:default/s4").commit) == (second, first)
    after = dict(SourceFile.objects.unrestricted("test").values_list("url", "version"))
    assert rows.keys() == after.keys()
    # Of 20 files and a list, one says the commit for each name of the branch: none, and main.
    assert len([url for url in rows if rows[url] != after[url]]) == 2
