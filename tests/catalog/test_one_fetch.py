"""A repository is fetched once for all that read it, and not at all while it stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalog.models import Source, Sync
from catalog.services.sources import create_source, request_sync
from portal.jobs.models import Job
from portal.jobs.running import run_job
from tests.factories.connections import ConnectionFactory
from tests.factories.sources import SYSTEM, assert_catalog_is_consistent, component, document, entity
from tests.services.git_server import BareRepository, GitServer, git_server

__all__ = ["git_server"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.req("R016")
def test_ten_sources_in_one_repository_fetch_it_once_and_an_unchanged_commit_reads_no_file(
    git_server: GitServer,
) -> None:
    ConnectionFactory(host=git_server.host, base_url=git_server.base, kind="github", allow_private=True)
    shop = git_server.repository("acme/many")
    shop.commit({f"part{n}/catalog-info.yaml": component(f"part{n}") for n in range(10)})
    sources = [
        create_source(
            actor=SYSTEM,
            sync=False,
            target=f"{git_server.base}/acme/many/blob/main/part{n}/catalog-info.yaml",
        )
        for n in range(10)
    ]

    def read_all() -> list[Sync]:
        for source in sources:
            run_job(request_sync(actor=SYSTEM, source=source).pk)
        return [Sync.objects.unrestricted("test").filter(source=s).latest("started_at") for s in sources]

    assert [(s.state, s.entities) for s in read_all()] == [("done", 2)] * 10
    assert git_server.fetches == 1
    again = read_all()
    assert [(s.state, s.files) for s in again] == [("unchanged", 0)] * 10
    assert git_server.fetches == 1

    shop.commit({"part3/catalog-info.yaml": component("part3", extra="title: Three")})
    assert [s.changed for s in read_all()].count(0) == 9
    assert document("component:default/part3")["metadata"]["title"] == "Three"
    assert git_server.fetches == 2
    assert not Job.objects.unrestricted("test").exclude(state="succeeded").exists()
    assert_catalog_is_consistent()


def test_a_repository_on_disk_is_a_source_like_any_other(tmp_path: Path, settings: Any) -> None:
    settings.CALLBOARD_FILE_ROOTS = [tmp_path / "roots"]
    repository = BareRepository(tmp_path / "roots" / "shop.git")
    commit = repository.commit({"catalog-info.yaml": component("shop")})
    source = create_source(
        actor=SYSTEM, sync=False, target=str(repository.path), type=Source.Type.GIT,
        registered_by=Source.RegisteredBy.COMMAND,
    )  # fmt: skip
    run_job(request_sync(actor=SYSTEM, source=source).pk)
    sync = Sync.objects.unrestricted("test").get(source=source)
    assert (sync.state, sync.version, sync.error) == ("done", commit, "")
    assert entity("component:default/shop").commit == commit
    assert entity("component:default/shop").parent == entity(source.entity_ref)
