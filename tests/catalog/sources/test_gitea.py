from __future__ import annotations

import base64
import importlib.util
import json
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from catalog.ingest.sources import Limits, UnreadableError
from catalog.refs import LocationRef
from portal.core.errors import CallboardError, InputError, NotFoundError, TooLargeError
from tests.catalog.sources.places import again, host, session
from tests.services.http_server import Reply, Seen, Server, serving


class Gitea:
    """The part of Gitea's API that reading needs, over a few files; there are the branches main and feature/x."""

    def __init__(self) -> None:
        self.commit = "c0ffee" + "0" * 34
        self.files = {
            "catalog-info.yaml": b"root",
            "services/a/catalog-info.yaml": b"a",
            "services/b/catalog-info.yml": b"b",
        }
        self.kinds = {"link.yaml": "symlink"}

    def __call__(self, seen: Seen) -> Reply:
        parts = urlsplit(seen.path)
        prefix = "/api/v1/repos/acme/shop/"
        if not parts.path.startswith(prefix):
            return Reply(404, b"{}")
        action, _, rest = parts.path.removeprefix(prefix).partition("/")
        if action == "git" and rest.startswith("commits/"):
            ref = unquote(rest.removeprefix("commits/"))
            known = ref in ("main", "HEAD", "feature/x")
            return Reply(body=json.dumps({"sha": self.commit}).encode()) if known else Reply(404, b"{}")
        if action == "git":
            page = int(parse_qs(parts.query)["page"][0])
            paths = sorted(self.files)[page - 1 : page]
            tree = [{"path": path, "type": "blob", "mode": "100644"} for path in paths]
            return Reply(body=json.dumps({"tree": tree, "truncated": page < len(self.files)}).encode())
        path = unquote(rest)
        assert parse_qs(parts.query)["ref"] == [self.commit]
        if any(known.startswith(f"{path}/") for known in self.files):
            return Reply(body=b"[]")
        if path in self.kinds:
            return Reply(body=json.dumps({"type": self.kinds[path]}).encode())
        if path not in self.files:
            return Reply(404, b"{}")
        content = base64.b64encode(self.files[path]).decode()
        return Reply(body=json.dumps({"type": "file", "encoding": "base64", "content": content}).encode())


@pytest.fixture
def gitea() -> Gitea:
    return Gitea()


@pytest.fixture
def server(gitea: Gitea) -> Iterator[Server]:
    with serving(gitea) as running:
        yield running


def page(server: Server, path: str, ref: str = "main") -> LocationRef:
    return LocationRef("url", f"{server.base}/acme/shop/src/branch/{ref}/{path}")


def test_a_file_is_read_at_one_commit(server: Server, gitea: Gitea, tmp_path: Path) -> None:
    config = host(server.base, "gitea", read_over="api", credential=lambda: "s3cret")
    reading = session(tmp_path, config)
    place = page(server, "services/a/catalog-info.yaml")
    assert reading.expand(place) == [place]
    found = reading.read(place)
    assert (found.data, found.commit) == (b"a", gitea.commit)
    assert reading.read(page(server, "catalog-info.yaml")).data == b"root"
    assert len(server.seen) == 3  # the commit, and two files
    assert {seen.headers["authorization"] for seen in server.seen} == {"token s3cret"}
    assert reading.composite_version() == gitea.commit


def test_an_unchanged_commit_reads_no_file(server: Server, gitea: Gitea, tmp_path: Path) -> None:
    config = host(server.base, "gitea", read_over="api")
    place = page(server, "catalog-info.yaml")
    first = session(tmp_path, config)
    first.read(place)
    with pytest.raises(NotFoundError):
        first.read(page(server, "nope.yaml"))
    server.seen.clear()
    assert again(first, tmp_path, config).version(place) == gitea.commit
    assert len(server.seen) == 1
    gitea.commit = "d" * 40
    assert again(first, tmp_path, config).version(place) is None


@pytest.mark.parametrize("ref", ["main", "feature/x"])
def test_folders_and_patterns_are_expanded(server: Server, tmp_path: Path, ref: str) -> None:
    reading = session(tmp_path, host(server.base, "gitea", read_over="api"))
    found = reading.expand(page(server, "services", ref))
    assert found == [
        page(server, f"services/{name}", ref) for name in ("a/catalog-info.yaml", "b/catalog-info.yml")
    ]
    assert [reading.read(place).data for place in found] == [b"a", b"b"]
    assert reading.expand(page(server, "**/catalog-info.yml", ref)) == [
        page(server, "services/b/catalog-info.yml", ref)
    ]
    whole = reading.expand(LocationRef("url", f"{server.base}/acme/shop"))
    assert len(whole) == 3
    assert reading.read(whole[0]).data == b"root"


def test_what_is_missing_is_told_apart(server: Server, tmp_path: Path) -> None:
    reading = session(tmp_path, host(server.base, "gitea", read_over="api"))
    for place in (
        page(server, "nope.yaml"),
        page(server, "a.yaml", "no-branch"),
        LocationRef("url", f"{server.base}/acme/none/src/branch/main/a.yaml"),
    ):
        with pytest.raises(NotFoundError):
            reading.read(place)
    with serving(lambda seen: Reply(500)) as broken, pytest.raises(CallboardError) as caught:
        session(tmp_path, host(broken.base, "gitea", read_over="api")).read(page(broken, "a.yaml"))
    assert not isinstance(caught.value, NotFoundError)


def test_links_and_folders_are_no_files(server: Server, tmp_path: Path) -> None:
    reading = session(tmp_path, host(server.base, "gitea", read_over="api"))
    with pytest.raises(InputError, match="symlink"):
        reading.read(page(server, "link.yaml"))
    with pytest.raises(InputError, match="folder"):
        reading.read(page(server, "services"))


def test_a_huge_file_is_refused(server: Server, gitea: Gitea, tmp_path: Path) -> None:
    gitea.files["big.yaml"] = b"x" * 3000
    config = host(server.base, "gitea", read_over="api")
    with pytest.raises(TooLargeError):
        session(tmp_path, config, limits=Limits(file_bytes=1000)).read(page(server, "big.yaml"))


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"sha": 1}', b'"text"'])
def test_answers_of_something_else_are_unreadable(body: bytes, tmp_path: Path) -> None:
    with serving(lambda seen: Reply(body=body)) as server, pytest.raises(CallboardError) as caught:
        session(tmp_path, host(server.base, "gitea", read_over="api")).read(page(server, "a.yaml"))
    assert not isinstance(caught.value, NotFoundError)


def test_contents_that_the_api_keeps_back_are_unreadable(tmp_path: Path) -> None:
    replies = [{"sha": "1" * 40}, {"type": "file", "encoding": None, "content": None}]
    with (
        serving(lambda seen: Reply(body=json.dumps(replies.pop(0)).encode())) as server,
        pytest.raises(UnreadableError),
    ):
        session(tmp_path, host(server.base, "gitea", read_over="api")).read(page(server, "a.yaml"))


@pytest.mark.shared
def test_the_small_repository_of_the_conformance_kit_is_read(shared_dir: Path, tmp_path: Path) -> None:
    path = shared_dir / "conformance" / "replay.py"
    spec = importlib.util.spec_from_file_location("conformance_replay", path)
    assert spec is not None
    assert spec.loader is not None
    replay = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(replay)
    kit = replay.Files(str(path.parent))
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), replay.make_handler(kit, True))
    threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    base = f"http://127.0.0.1:{httpd.server_address[1]}"
    try:
        reading = session(tmp_path, host(base, "gitea", read_over="api"))
        place = LocationRef("url", f"{base}/lumen/tracks/src/branch/main/catalog-info.yaml")
        assert reading.expand(place) == [place]
        assert (
            reading.read(place).data
            == (path.parent / "catalog/seed-git/lumen/tracks/catalog-info.yaml").read_bytes()
        )
        with pytest.raises(NotFoundError):
            reading.read(LocationRef("url", f"{base}/lumen/tracks/src/branch/main/nope.yaml"))
    finally:
        httpd.shutdown()
        httpd.server_close()
