"""Sent files and other branches stand under the addresses of the place itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.ingest.sources import SentFiles, SentSession
from catalog.refs import LocationRef
from portal.core.errors import InputError, NotFoundError
from tests.catalog.sources.places import host, session
from tests.catalog.sources.test_git import FILES, PAGES, page
from tests.catalog.sources.test_gitea import Gitea
from tests.services.git_server import BareRepository, GitServer, git_server
from tests.services.http_server import Reply, Seen, serving

__all__ = ["git_server"]

pytestmark = pytest.mark.req("R031")


@pytest.fixture
def shop(git_server: GitServer) -> BareRepository:
    return git_server.repository("acme/shop")


def sent(files: dict[str, str], *, removed: tuple[str, ...] = (), complete: bool = True) -> SentFiles:
    return SentFiles.of(
        [(path, text.encode()) for path, text in files.items()],
        removed=removed,
        complete=complete,
        file_bytes=1_000_000,
    )


def asking(tmp_path: Path, root: LocationRef, *hosts: Any, **values: Any) -> SentSession:
    options: dict[str, Any] = {"file_roots": [tmp_path / "roots"], "git_cache": tmp_path / "cache"}
    found = SentSession(root=root, hosts=hosts, **{**options, **values})
    found.prepare()
    return found


def read_all(reading: Any, root: LocationRef, **values: str) -> Iterator[tuple[str, bytes]]:
    for place in reading.expand(root, **values):
        yield place.target, reading.read(place).data


@pytest.mark.parametrize("branch", ["", "main", "feature/new"])
@pytest.mark.parametrize("pattern", ["", "**/*.yaml"])
def test_a_whole_repository_gives_sent_files_the_addresses_it_gives_its_own(
    git_server: GitServer, shop: BareRepository, tmp_path: Path, branch: str, pattern: str
) -> None:
    shop.commit(FILES)
    shop.commit(FILES, branch="feature/new")
    for root in (git_server.url("acme/shop"), f"{git_server.base}/acme/shop"):
        known = host(git_server.base, "plain" if root.endswith(".git") else "github")
        place = LocationRef("git", root)
        real = dict(read_all(session(tmp_path, known), place, branch=branch, pattern=pattern))
        files = {path: f"new {text}" for path, text in FILES.items()}
        reading = asking(tmp_path, place, known, branch=branch, sent=sent(files))

        found = dict(read_all(reading, place, branch=branch, pattern=pattern))

        assert found == {url: b"new " + data for url, data in real.items()}
        assert {reading.path_of(url) for url in found} <= set(FILES)
        assert "" not in {reading.path_of(url) for url in found}


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("ref", ["main", "feature/new"])
def test_a_file_at_an_address_and_what_it_names_are_those_that_were_sent(
    git_server: GitServer, shop: BareRepository, tmp_path: Path, kind: str, ref: str
) -> None:
    shop.commit(FILES, branch=ref)
    shop.commit({"unrelated": "x"}, branch="main" if ref != "main" else "other")
    root = page(kind, git_server, "services/a/catalog-info.yaml", ref)
    files = {"services/a/catalog-info.yaml": "new", "services/b/catalog-info.yml": "beside"}
    reading = asking(tmp_path, root, host(git_server.base, kind), sent=sent(files))

    assert list(read_all(reading, root)) == [(root.target, b"new")]
    beside = LocationRef("url", reading.hosts.resolve("../b/catalog-info.yml", root.target))
    assert reading.read(beside).data == b"beside"
    folder = page(kind, git_server, "services/**/catalog-info.y*ml", ref)
    assert [data for _, data in read_all(reading, folder)] == [b"new", b"beside"]
    with pytest.raises(NotFoundError, match="not among the files"):
        reading.read(page(kind, git_server, "catalog-info.yaml", ref))


def test_another_repository_is_read_as_it_is(
    git_server: GitServer, shop: BareRepository, tmp_path: Path
) -> None:
    shop.commit(FILES)
    git_server.repository("acme/other").commit({"catalog-info.yaml": "other"})
    root = page("github", git_server, "catalog-info.yaml")
    reading = asking(tmp_path, root, host(git_server.base, "github"), sent=sent({"catalog-info.yaml": "new"}))

    elsewhere = LocationRef("url", f"{git_server.base}/acme/other/blob/main/catalog-info.yaml")

    assert reading.read(elsewhere).data == b"other"
    other_branch = LocationRef("url", f"{git_server.base}/acme/shop/blob/topic/catalog-info.yaml")
    shop.commit({"catalog-info.yaml": "topic"}, branch="topic")
    assert reading.read(other_branch).data == b"topic"


def test_a_part_of_the_files_is_laid_over_the_repository(
    git_server: GitServer, shop: BareRepository, tmp_path: Path
) -> None:
    shop.commit(FILES)
    root = LocationRef("git", f"{git_server.base}/acme/shop")
    changed = sent(
        {"catalog-info.yaml": "new root", "services/c/catalog-info.yaml": "c"},
        removed=("services/a/catalog-info.yaml",),
        complete=False,
    )
    reading = asking(tmp_path, root, host(git_server.base, "github"), sent=changed)

    found = [data for _, data in read_all(reading, root)]

    assert found == [b"new root", b"b", b"c"]
    with pytest.raises(NotFoundError):
        reading.read(page("github", git_server, "services/a/catalog-info.yaml"))
    assert reading.read(page("github", git_server, "services/b/other.yaml")).data == b"other"


@pytest.mark.parametrize("by", ["branch", "tag", "full name", "commit"])
def test_a_branch_is_read_as_if_it_were_another(
    git_server: GitServer, shop: BareRepository, tmp_path: Path, by: str
) -> None:
    shop.commit(FILES)
    commit = shop.commit({"catalog-info.yaml": "topic", "new/catalog-info.yaml": "n"}, branch="topic")
    shop.tag("v1", commit)
    ref = {"branch": "topic", "tag": "v1", "full name": "refs/heads/topic", "commit": commit}[by]
    root = LocationRef("git", f"{git_server.base}/acme/shop")
    known = host(git_server.base, "github")
    here = dict(read_all(session(tmp_path, known), root))

    reading = asking(tmp_path, root, known, ref=ref)
    found = dict(read_all(reading, root))

    assert sorted(found.values()) == [b"n", b"topic"]
    assert all("/blob/main/" in url for url in found)
    assert found.keys() & here.keys()  # the same address, another content
    assert reading.expand(page("github", git_server, "catalog-info.yaml")) == [
        page("github", git_server, "catalog-info.yaml")
    ]


def test_a_ref_that_is_not_there_is_told(git_server: GitServer, shop: BareRepository, tmp_path: Path) -> None:
    shop.commit(FILES)
    root = LocationRef("git", git_server.url("acme/shop"))

    with pytest.raises(NotFoundError, match="nowhere"):
        asking(tmp_path, root, host(git_server.base), ref="nowhere")


def test_a_plain_web_server_has_no_refs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no Git repository"):
        asking(tmp_path, LocationRef("url", "https://files.example.org/a.yaml"), ref="x")


def test_files_beside_an_address_are_seen_from_its_folder(tmp_path: Path) -> None:
    root = LocationRef("url", "https://files.example.org/catalog/all.yaml")
    reading = asking(tmp_path, root, sent=sent({"all.yaml": "all", "deep/a b.yaml": "a"}))

    assert list(read_all(reading, root)) == [(root.target, b"all")]
    beside = LocationRef("url", reading.hosts.resolve("./deep/a%20b.yaml", root.target))
    assert reading.read(beside).data == b"a"
    assert reading.path_of(beside.target) == "deep/a b.yaml"


def test_files_of_a_server_that_is_away_are_seen_by_their_addresses_alone(tmp_path: Path) -> None:
    away = "http://127.0.0.1:9"
    root = LocationRef("url", f"{away}/acme/shop/blob/main/catalog-info.yaml")
    reading = asking(tmp_path, root, host(away, "github"), sent=sent({"catalog-info.yaml": "new"}))

    assert list(read_all(reading, root)) == [(root.target, b"new")]


def test_a_pattern_on_disk_finds_what_was_sent(tmp_path: Path) -> None:
    folder = tmp_path / "roots" / "shop"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "x.yaml").write_text("old")
    root = LocationRef("file", f"{folder}/*/x.yaml")
    reading = asking(tmp_path, root, sent=sent({"a/x.yaml": "new", "b/x.yaml": "b", "c.yaml": "no"}))

    assert list(read_all(reading, root)) == [(f"{folder}/a/x.yaml", b"new"), (f"{folder}/b/x.yaml", b"b")]


class Branches(Gitea):
    """The same with another commit on its other branch."""

    def __call__(self, seen: Seen) -> Reply:
        if seen.path.endswith("/git/commits/feature%2Fx"):
            return Reply(body=json.dumps({"sha": "beef" * 10}).encode())
        if f"ref={'beef' * 10}" in seen.path:
            self.commit, self.files = "beef" * 10, {"catalog-info.yaml": b"topic"}
        return super().__call__(seen)


def test_a_branch_behind_the_api_of_gitea_is_read_as_if_it_were_another(tmp_path: Path) -> None:
    with serving(Branches()) as server:
        known = host(server.base, "gitea", read_over="api")
        root = LocationRef("url", f"{server.base}/acme/shop/src/branch/main/catalog-info.yaml")
        assert dict(read_all(asking(tmp_path, root, known), root)) == {root.target: b"root"}

        reading = asking(tmp_path, root, known, ref="feature/x")

        assert dict(read_all(reading, root)) == {root.target: b"topic"}
        with pytest.raises(NotFoundError):
            asking(tmp_path, root, known, ref="nowhere")
