from __future__ import annotations

from pathlib import Path

import pytest

from catalog.ingest.sources import Limits
from catalog.refs import LocationRef
from portal.core.errors import (
    EgressRefusedError,
    InputError,
    NotAllowedError,
    NotFoundError,
    ServiceUnavailableError,
    TooLargeError,
)
from tests.catalog.sources.places import again, host, session
from tests.services.http_server import Reply, Seen, serving


def url(target: str) -> LocationRef:
    return LocationRef("url", target)


class Site:
    """Answers with files that a test may change; with marks of freshness if wanted."""

    def __init__(self, files: dict[str, bytes], mark: str = "etag") -> None:
        self.files = files
        self.mark = mark

    def __call__(self, seen: Seen) -> Reply:
        body = self.files.get(seen.path)
        if body is None:
            return Reply(404)
        value = f'"{hash(body)}"' if self.mark == "etag" else f"time {hash(body)}"
        if self.mark == "etag" and seen.headers.get("if-none-match") == value:
            return Reply(304)
        if self.mark == "modified" and seen.headers.get("if-modified-since") == value:
            return Reply(304)
        names = {"etag": "ETag", "modified": "Last-Modified"}
        return Reply(body=body, headers={names[self.mark]: value} if self.mark in names else {})


def test_a_file_is_read_once_a_session(tmp_path: Path) -> None:
    with serving(Site({"/a.yaml": b"a: 1"})) as server:
        reading = session(tmp_path, host(server.base))
        place = url(f"{server.base}/a.yaml")
        assert reading.expand(place) == [place]
        assert reading.read(place).data == b"a: 1"
        assert reading.read(place) is reading.read(place)
        assert (reading.reads, reading.bytes, len(server.seen)) == (1, 4, 1)


@pytest.mark.parametrize("mark", ["etag", "modified", ""])
def test_unchanged_files_are_known_as_such(tmp_path: Path, mark: str) -> None:
    site = Site({"/a.yaml": b"a: 1", "/b.yaml": b"b: 1"}, mark)
    with serving(site) as server:
        root, other, gone = (url(f"{server.base}/{name}") for name in ("a.yaml", "b.yaml", "c.yaml"))
        first = session(tmp_path, host(server.base))
        first.read(root)
        first.read(other)
        with pytest.raises(NotFoundError):
            first.read(gone)
        second = again(first, tmp_path, host(server.base))
        assert second.version(root) == first.composite_version() != ""
        assert second.reads == 0
        site.files["/b.yaml"] = b"b: 2"
        third = again(first, tmp_path, host(server.base))
        assert third.version(root) is None
        requests = len(server.seen)
        assert third.read(other).data == b"b: 2"
        assert len(server.seen) == requests  # what the check brought along is not asked for again
        site.files["/b.yaml"] = b"b: 1"
        site.files["/c.yaml"] = b"new"
        assert again(first, tmp_path, host(server.base)).version(root) is None


def test_what_is_missing_is_told_apart_from_what_is_unreadable(tmp_path: Path) -> None:
    with serving(lambda seen: Reply(404 if seen.path == "/gone" else 500)) as server:
        reading = session(tmp_path, host(server.base))
        with pytest.raises(NotFoundError):
            reading.read(url(f"{server.base}/gone"))
        assert reading.composite_version()
        with pytest.raises(ServiceUnavailableError):
            reading.read(url(f"{server.base}/broken"))
        assert reading.composite_version() == ""


def test_a_server_in_a_private_network_needs_a_connection(tmp_path: Path) -> None:
    with serving(Site({"/a.yaml": b"a: 1"})) as server:
        with pytest.raises(EgressRefusedError):
            session(tmp_path).read(url(f"{server.base}/a.yaml"))
        with pytest.raises(EgressRefusedError):
            session(tmp_path, host(server.base, allow_private=False)).read(url(f"{server.base}/a.yaml"))
        assert not server.seen


def test_the_connection_for_one_server_opens_no_other(tmp_path: Path) -> None:
    with serving(Site({"/a.yaml": b"secret"})) as inner:
        redirect = Reply(302, headers={"Location": f"{inner.base.replace('127.0.0.1', '127.0.0.2')}/a.yaml"})
        with serving(lambda seen: redirect) as outer, pytest.raises(EgressRefusedError):
            session(tmp_path, host(outer.base)).read(url(f"{outer.base}/a.yaml"))


def test_prefixes_of_a_connection_are_kept(tmp_path: Path) -> None:
    with serving(Site({"/team/a.yaml": b"a", "/team2/a.yaml": b"b", "/other/a.yaml": b"c"})) as server:
        config = host(server.base, allowed_prefixes=("/team",))
        reading = session(tmp_path, config)
        assert reading.read(url(f"{server.base}/team/a.yaml")).data == b"a"
        for path in ("/team2/a.yaml", "/other/a.yaml", "/"):
            with pytest.raises(NotAllowedError, match="outside of what the connections"):
                reading.read(url(f"{server.base}{path}"))
        for path in (
            "/team/../other/a.yaml",
            "/team/%2e%2e/other/a.yaml",
            "/team/..%2fother/a.yaml",
            "/team/..%5cother",
        ):
            with pytest.raises((InputError, NotAllowedError)):
                reading.read(url(f"{server.base}{path}"))
    assert [seen.path for seen in server.seen] == ["/team/a.yaml"]


def test_the_longest_prefix_gives_the_credential(tmp_path: Path) -> None:
    with serving(Site({"/a/x": b"1", "/a/b/x": b"2"})) as server:
        outer = host(server.base, name="outer", allowed_prefixes=("/a",), credential=lambda: "outer-token")
        inner = host(server.base, name="inner", allowed_prefixes=("/a/b",), credential=lambda: "inner-token")
        reading = session(tmp_path, outer, inner)
        reading.read(url(f"{server.base}/a/x"))
        reading.read(url(f"{server.base}/a/b/x"))
    assert [seen.headers["authorization"] for seen in server.seen] == [
        "Bearer outer-token",
        "Bearer inner-token",
    ]


def test_a_huge_file_is_cut_off(tmp_path: Path) -> None:
    with serving(Site({"/a.yaml": b"x" * 5000})) as server, pytest.raises(TooLargeError):
        session(tmp_path, host(server.base), limits=Limits(file_bytes=1000)).read(
            url(f"{server.base}/a.yaml")
        )


def test_a_source_may_not_read_without_end(tmp_path: Path) -> None:
    with serving(Site({f"/{n}": b"x" * 100 for n in range(9)})) as server:
        by_files = session(tmp_path, host(server.base), limits=Limits(files=2))
        by_bytes = session(tmp_path, host(server.base), limits=Limits(total_bytes=150))
        for reading in (by_files, by_bytes):
            reading.read(url(f"{server.base}/1"))
            reading.read(url(f"{server.base}/2"))
            with pytest.raises(TooLargeError, match="more than"):
                reading.read(url(f"{server.base}/3"))


def test_a_pattern_at_a_web_server_is_explained(tmp_path: Path) -> None:
    with serving(Site({})) as server, pytest.raises(InputError, match="cannot be searched"):
        session(tmp_path, host(server.base)).expand(url(f"{server.base}/**/a.yaml"))


def test_unusual_characters_are_encoded_as_browsers_do(tmp_path: Path) -> None:
    with serving(Site({"/a%20%C3%BC.yaml": b"ok"})) as server:
        assert session(tmp_path, host(server.base)).read(url(f"{server.base}/a ü.yaml")).data == b"ok"


@pytest.mark.parametrize("kind", ["http", "javascript", "ldap", ""])
def test_other_types_of_location_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        session(tmp_path).read(LocationRef(kind, "http://127.0.0.1/"))


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://example.org/a", "javascript:alert(1)", "/etc/passwd", ""]
)
def test_addresses_of_other_schemes_are_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(InputError):
        session(tmp_path).read(url(target))
