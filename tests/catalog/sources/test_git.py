from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from catalog.ingest.sources import Limits
from catalog.ingest.sources import git as git_module
from catalog.refs import LocationRef
from portal.core.errors import CallboardError, InputError, NotAllowedError, NotFoundError
from tests.catalog.sources.places import again, host, session
from tests.services.git_server import BareRepository, GitServer, git_server
from tests.services.http_server import Reply, serving

__all__ = ["git_server"]

FILES = {
    "catalog-info.yaml": "root",
    "services/a/catalog-info.yaml": "a",
    "services/b/catalog-info.yml": "b",
    "services/b/other.yaml": "other",
    "node_modules/x/catalog-info.yaml": "no",
    "odd name/ü#?.yaml": "odd",
}

# Kind of host -> address of a path on it, at a branch.
PAGES = {
    "github": "{base}/acme/shop/blob/{ref}/{path}",
    "gitlab": "{base}/acme/shop/-/blob/{ref}/{path}",
    "gitea": "{base}/acme/shop/src/branch/{ref}/{path}",
    "bitbucket": "{base}/acme/shop/src/{ref}/{path}",
}


@pytest.fixture
def shop(git_server: GitServer) -> BareRepository:
    return git_server.repository("acme/shop")


def url(target: str) -> LocationRef:
    return LocationRef("url", target)


def page(kind: str, server: GitServer, path: str, ref: str = "main") -> LocationRef:
    return url(PAGES[kind].format(base=server.base, ref=ref, path=path))


@pytest.mark.parametrize("kind", PAGES)
def test_files_are_read_by_the_address_that_a_browser_shows(
    git_server: GitServer, shop: BareRepository, tmp_path: Path, kind: str
) -> None:
    commit = shop.commit(FILES)
    reading = session(tmp_path, host(git_server.base, kind))
    place = page(kind, git_server, "services/a/catalog-info.yaml")
    assert reading.expand(place) == [place]
    found = reading.read(place)
    assert (found.data, found.commit, found.version, found.url) == (b"a", commit, commit, place.target)


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("ref", ["main", "feature/new/catalog"])
def test_a_pattern_in_an_address_stands_for_its_matches(
    git_server: GitServer, shop: BareRepository, tmp_path: Path, kind: str, ref: str
) -> None:
    shop.commit(FILES, branch=ref)
    shop.commit({"unrelated": "x"}, branch="main" if ref != "main" else "other")
    reading = session(tmp_path, host(git_server.base, kind))
    found = reading.expand(page(kind, git_server, "**/catalog-info.y*ml", ref))
    assert [reading.read(place).data for place in found] == [b"root", b"a", b"b"]
    assert all(f"/{ref}/" in place.target for place in found)
    assert git_server.fetches == 1


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("path", ["services", "services/"])
def test_a_folder_stands_for_the_descriptors_below_it(
    git_server: GitServer, shop: BareRepository, tmp_path: Path, kind: str, path: str
) -> None:
    shop.commit(FILES)
    reading = session(tmp_path, host(git_server.base, kind))
    found = reading.expand(page(kind, git_server, path))
    assert [reading.read(place).data for place in found] == [b"a", b"b"]
    everything = reading.expand(page(kind, git_server, ""))
    assert [reading.read(place).data for place in everything] == [b"root", b"a", b"b"]


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("ending", ["", ".git"])
def test_a_repository_without_a_branch_means_its_default_branch(
    git_server: GitServer, shop: BareRepository, tmp_path: Path, kind: str, ending: str
) -> None:
    shop.commit(FILES)
    for location in (
        url(f"{git_server.base}/acme/shop{ending}"),
        LocationRef("git", f"{git_server.base}/acme/shop{ending}"),
    ):
        reading = session(tmp_path, host(git_server.base, kind))
        found = reading.expand(location)
        assert [place.target for place in found] == [
            page(kind, git_server, path).target
            for path in ("catalog-info.yaml", "services/a/catalog-info.yaml", "services/b/catalog-info.yml")
        ]
        assert reading.read(found[1]).data == b"a"


@pytest.mark.parametrize("kind", PAGES)
def test_a_git_location_has_a_branch_and_a_pattern(
    git_server: GitServer, shop: BareRepository, tmp_path: Path, kind: str
) -> None:
    shop.commit(FILES, branch="team/next")
    reading = session(tmp_path, host(git_server.base, kind))
    found = reading.expand(
        LocationRef("git", f"{git_server.base}/acme/shop.git"), branch="team/next", pattern="**/other.yaml"
    )
    assert found == [page(kind, git_server, "services/b/other.yaml", "team/next")]
    assert reading.read(found[0]).data == b"other"


@pytest.mark.parametrize("kind", PAGES)
def test_odd_names_survive_the_way_through_an_address(
    git_server: GitServer, shop: BareRepository, tmp_path: Path, kind: str
) -> None:
    shop.commit(FILES)
    reading = session(tmp_path, host(git_server.base, kind))
    found = reading.expand(LocationRef("git", f"{git_server.base}/acme/shop"), pattern="odd*/*")
    assert reading.read(found[0]).data == b"odd"
    assert reading.hosts.resolve("./other.yaml", found[0].target).endswith("/odd%20name/other.yaml")


def test_bitbucket_server_and_azure_keep_the_branch_in_the_query(
    git_server: GitServer, tmp_path: Path
) -> None:
    git_server.repository("scm/team/shop").commit(FILES, branch="dev")
    reading = session(tmp_path, host(git_server.base, "bitbucket-server"))
    start = f"{git_server.base}/projects/TEAM/repos/shop"
    found = reading.expand(url(f"{start}/browse/services?at=dev"))
    assert [place.target for place in found] == [
        f"{start}/browse/services/a/catalog-info.yaml?at=dev",
        f"{start}/browse/services/b/catalog-info.yml?at=dev",
    ]
    assert [reading.read(place).data for place in found] == [b"a", b"b"]
    found = reading.expand(LocationRef("git", start), branch="dev", pattern="*.yaml")
    assert found == [url(f"{start}/browse/catalog-info.yaml?at=dev")]

    folder = git_server.root / "acme" / "project" / "_git"
    folder.mkdir(parents=True)
    (folder / "shop").symlink_to(git_server.root / "scm" / "team" / "shop.git")
    reading = session(tmp_path, host(git_server.base, "azure", api_url=git_server.base))
    start = f"{git_server.base}/acme/project/_git/shop"
    found = reading.expand(url(f"{start}?path=/services&version=GBdev"))
    assert [place.target for place in found] == [
        f"{start}?path=%2Fservices%2Fa%2Fcatalog-info.yaml&version=GBdev",
        f"{start}?path=%2Fservices%2Fb%2Fcatalog-info.yml&version=GBdev",
    ]
    assert [reading.read(place).data for place in found] == [b"a", b"b"]
    found = reading.expand(LocationRef("git", start), branch="dev", pattern="*.yaml")
    assert [reading.read(place).data for place in found] == [b"root"]


def test_a_plain_repository_gets_addresses_in_which_relative_targets_work(
    git_server: GitServer, shop: BareRepository, tmp_path: Path
) -> None:
    shop.commit(FILES, branch="dev/x")
    reading = session(tmp_path, host(git_server.base))
    found = reading.expand(LocationRef("git", git_server.url("acme/shop")), branch="dev/x")
    assert [place.target for place in found] == [
        f"{git_server.url('acme/shop')}/{path}?ref=dev%2Fx"
        for path in ("catalog-info.yaml", "services/a/catalog-info.yaml", "services/b/catalog-info.yml")
    ]
    assert [reading.read(place).data for place in found] == [b"root", b"a", b"b"]
    relative = url(reading.hosts.resolve("../b/other.yaml", found[1].target))
    assert reading.expand(relative) == [relative]
    assert reading.read(relative).data == b"other"
    folder = url(reading.hosts.resolve("./services/", found[0].target))
    assert [reading.read(place).data for place in reading.expand(folder)] == [b"a", b"b"]


def test_a_local_repository_below_the_roots_is_read(tmp_path: Path) -> None:
    repository = BareRepository(tmp_path / "roots" / "my shop.git")
    commit = repository.commit(FILES)
    for target in (str(repository.path), repository.path.as_uri()):
        reading = session(tmp_path)
        found = reading.expand(LocationRef("git", target))
        assert [reading.read(place).data for place in found] == [b"root", b"a", b"b"]
        assert reading.composite_version() == commit
        other = reading.hosts.resolve("./services/b/other.yaml", found[0].target)
        assert reading.read(url(other)).data == b"other"
        assert again(reading, tmp_path).version(LocationRef("git", target)) == commit
    with pytest.raises(NotAllowedError):
        session(tmp_path, file_roots=[tmp_path / "elsewhere"]).expand(
            LocationRef("git", str(repository.path))
        )
    with pytest.raises(InputError):  # an address alone opens nothing on this machine
        session(tmp_path).read(url(f"{repository.path.as_uri()}/catalog-info.yaml"))


def test_ten_sources_in_one_repository_fetch_once(
    git_server: GitServer, shop: BareRepository, tmp_path: Path
) -> None:
    commit = shop.commit({f"s{n}/catalog-info.yaml": str(n) for n in range(10)})
    for n in range(10):
        reading = session(tmp_path, host(git_server.base, "github"))
        place = page("github", git_server, f"s{n}/catalog-info.yaml")
        assert reading.expand(place) == [place]
        assert reading.read(place).data == str(n).encode()
        assert reading.composite_version() == commit
    assert git_server.fetches == 1


def test_an_unchanged_commit_reads_no_file(
    git_server: GitServer, shop: BareRepository, tmp_path: Path
) -> None:
    commit = shop.commit(FILES)
    config = host(git_server.base, "gitlab")
    root = LocationRef("git", git_server.url("acme/shop"))
    first = session(tmp_path, config)
    for place in first.expand(root):
        first.read(place)
    with pytest.raises(NotFoundError):
        first.read(page("gitlab", git_server, "nope.yaml"))
    assert first.composite_version() == commit
    git_server.requests.clear()
    second = again(first, tmp_path, config)
    assert second.version(root) == commit
    assert second.reads == 0
    assert len(git_server.requests) == 2  # one question for the refs
    shop.commit({"README.md": "hello"})
    assert again(first, tmp_path, config).version(root) is None


def test_an_empty_search_is_noticed_when_it_changes(
    git_server: GitServer, shop: BareRepository, tmp_path: Path
) -> None:
    shop.commit({"README.md": "nothing here"})
    for kind in ("plain", "github"):
        config = host(git_server.base, kind)
        root = LocationRef("git", git_server.url("acme/shop"))
        first = session(tmp_path, config)
        assert first.expand(root) == []
        assert again(first, tmp_path, config).version(root) == first.composite_version() != ""
        shop.commit({"README.md": kind})
        assert again(first, tmp_path, config).version(root) is None


def test_everything_in_one_session_comes_from_one_commit(
    git_server: GitServer, shop: BareRepository, tmp_path: Path
) -> None:
    commit = shop.commit(FILES)
    reading = session(tmp_path, host(git_server.base, "github"))
    assert reading.read(page("github", git_server, "catalog-info.yaml")).commit == commit
    shop.commit({"services/a/catalog-info.yaml": "moved on"})
    found = reading.read(page("github", git_server, "services/a/catalog-info.yaml"))
    assert (found.data, found.commit) == (b"a", commit)


def test_many_files_cost_few_calls_of_git(
    git_server: GitServer, shop: BareRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.commit({f"s{n:03}/catalog-info.yaml": f"file {n}" for n in range(300)})
    reading = session(tmp_path, host(git_server.base, "github"))
    found = reading.expand(page("github", git_server, ""))
    calls = []
    original = git_module.Repository.read_files

    def counted(self: object, commit: str, paths: list[str], **options: int) -> dict[str, bytes]:
        calls.append(len(paths))
        return original(self, commit, paths, **options)  # type: ignore[arg-type]  # the repository

    monkeypatch.setattr(git_module.Repository, "read_files", counted)
    assert [reading.read(place).data for place in found] == [f"file {n}".encode() for n in range(300)]
    assert calls == [200, 100]


def test_one_bad_file_does_not_keep_others_from_being_read(
    git_server: GitServer, shop: BareRepository, tmp_path: Path
) -> None:
    shop.commit(
        {"a/catalog-info.yaml": "a", "b/catalog-info.yaml": "x" * 2000, "d/catalog-info.yaml": "d"},
        symlinks={"c/catalog-info.yaml": "/etc/passwd"},
        submodules={"e": "1" * 40},
    )
    reading = session(tmp_path, host(git_server.base, "github"), limits=Limits(file_bytes=1000))
    outcomes = []
    for place in reading.expand(page("github", git_server, "")):
        try:
            outcomes.append(reading.read(place).data.decode())
        except CallboardError as error:
            outcomes.append(type(error).__name__)
    assert outcomes == ["a", "TooLargeError", "InputError", "d"]


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "..%2f..%2fetc/passwd",
        "%2e%2e/x",
        "a/%2e%2e/%2e%2e/x",
        "services/..%5c..%5cx",
        "a%00b",
        "/etc/passwd",
    ],
)
@pytest.mark.parametrize("kind", PAGES)
def test_no_path_leaves_the_repository(
    git_server: GitServer, shop: BareRepository, tmp_path: Path, kind: str, path: str
) -> None:
    shop.commit(FILES)
    reading = session(tmp_path, host(git_server.base, kind, allowed_prefixes=("/acme",)))
    with pytest.raises((InputError, NotFoundError, NotAllowedError)):
        reading.read(page(kind, git_server, path))


@pytest.mark.parametrize("ref", ["-d", "--upload-pack=touch pwned", "a..b", "@{-1}", "main^{commit}:x"])
def test_no_ref_becomes_an_argument(
    git_server: GitServer, shop: BareRepository, tmp_path: Path, ref: str
) -> None:
    shop.commit(FILES)
    with pytest.raises((InputError, NotFoundError)):
        session(tmp_path, host(git_server.base)).expand(
            LocationRef("git", git_server.url("acme/shop")), branch=ref
        )
    with pytest.raises((InputError, NotFoundError)):
        session(tmp_path, host(git_server.base, "github")).read(page("github", git_server, "a.yaml", ref))
    assert git_server.fetches == 0


@pytest.mark.parametrize(
    "target", ["--upload-pack=x", "ext::sh -c x", "git@-x:y", "https://u:p@h/x.git", "x"]
)
def test_no_target_becomes_an_argument(tmp_path: Path, target: str) -> None:
    with pytest.raises(InputError):
        session(tmp_path).expand(LocationRef("git", target))


def test_what_is_missing_is_told_apart(git_server: GitServer, shop: BareRepository, tmp_path: Path) -> None:
    shop.commit(FILES)
    reading = session(tmp_path, host(git_server.base, "github"))
    for place in (
        page("github", git_server, "nope.yaml"),
        page("github", git_server, "catalog-info.yaml", "no-branch"),
        url(f"{git_server.base}/acme/none/blob/main/catalog-info.yaml"),
    ):
        with pytest.raises(NotFoundError):
            reading.read(place)
    git_server.required = "somebody:else"
    with pytest.raises(CallboardError) as caught:
        session(tmp_path, host(git_server.base, "github")).read(
            page("github", git_server, "catalog-info.yaml")
        )
    assert not isinstance(caught.value, NotFoundError)


def test_the_credential_of_the_connection_opens_the_repository(
    git_server: GitServer, shop: BareRepository, tmp_path: Path
) -> None:
    shop.commit(FILES)
    for kind, username in [("github", "x-access-token"), ("gitlab", "oauth2"), ("gitea", "git")]:
        git_server.required = f"{username}:s3cret"
        config = host(git_server.base, kind, credential=lambda: "s3cret")
        assert session(tmp_path, config).read(page(kind, git_server, "catalog-info.yaml")).data == b"root"
    git_server.required = "robot:s3cret"
    config = host(git_server.base, "github", credential=lambda: "s3cret", username="robot")
    assert session(tmp_path, config).read(page("github", git_server, "catalog-info.yaml")).data == b"root"


def test_a_connection_reads_only_below_its_prefixes(
    git_server: GitServer, shop: BareRepository, tmp_path: Path
) -> None:
    shop.commit(FILES)
    config = host(git_server.base, "github", allowed_prefixes=("/other",))
    for place in (
        page("github", git_server, "catalog-info.yaml"),
        LocationRef("git", git_server.url("acme/shop")),
    ):
        with pytest.raises(NotAllowedError):
            session(tmp_path, config).expand(place)
    assert not git_server.requests


def test_addresses_of_the_api_of_a_host_are_ordinary_files(tmp_path: Path) -> None:
    with serving(lambda seen: Reply(body=b"from the api")) as server:
        config = host(server.base, "gitlab", api_url=f"{server.base}/api/v4", credential=lambda: "token")
        place = url(f"{server.base}/api/v4/projects/1/repository/files/a%2Fb.yaml/raw?ref=main")
        assert session(tmp_path, config).read(place).data == b"from the api"
        assert urlsplit(server.seen[0].path).path == "/api/v4/projects/1/repository/files/a%2Fb.yaml/raw"
