"""Reading repositories: files, refs, one fetch for all, caches that are damaged."""

from __future__ import annotations

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from portal.core.errors import (
    CallboardError,
    InputError,
    NotFoundError,
    TimedOutError,
    TooLargeError,
)
from portal.core.git import repository as repository_module
from portal.core.process import CancelledError
from tests.core.repositories import cache, git_server, opened, shop
from tests.services.git_server import BareRepository, GitServer

__all__ = ["cache", "git_server", "shop"]

# ------------------------------------------------------------------------------------------------------------- reading


def test_files_of_a_branch_are_read(git_server: GitServer, shop: BareRepository, cache: Path) -> None:
    commit = shop.commit({"catalog-info.yaml": "a: 1\n", "docs/über uns.md": b"\xff\x00\n", "empty": ""})
    repository = opened(git_server.url("acme/shop"), cache)
    assert repository.fetch("main") == commit
    tree = repository.list_tree(commit)
    assert {path: (entry.kind, entry.size) for path, entry in tree.items()} == {
        "catalog-info.yaml": ("file", 5),
        "docs/über uns.md": ("file", 3),
        "empty": ("file", 0),
    }
    assert repository.read_file(commit, "catalog-info.yaml") == b"a: 1\n"
    assert repository.read_files(commit, list(tree)) == {
        "catalog-info.yaml": b"a: 1\n",
        "docs/über uns.md": b"\xff\x00\n",
        "empty": b"",
    }


def test_the_default_branch_tags_and_commits_can_be_named(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    first = shop.commit({"a": "1"})
    shop.tag("v1", first)
    shop.tag("v1-signed", first, annotated=True)
    second = shop.commit({"a": "2"})
    repository = opened(git_server.url("acme/shop"), cache)
    refs = ("", "HEAD", "main", "refs/heads/main", "v1", "v1-signed", first)
    assert [repository.remote_commit(ref) for ref in refs] == [second] * 4 + [first] * 3
    for ref in ("v1", "v1-signed", first, ""):
        commit = repository.fetch(ref)
        assert repository.read_file(commit, "a") == (b"2" if ref == "" else b"1")


def test_a_branch_wins_over_a_tag_of_the_same_name_and_over_longer_names(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    tagged = shop.commit({"a": "1"})
    shop.tag("stable", tagged)
    branch = shop.commit({"a": "2"}, branch="stable")
    shop.commit({"a": "3"}, branch="feature/stable")
    assert opened(git_server.url("acme/shop"), cache).remote_commit("stable") == branch


def test_a_moved_branch_is_seen_and_fetched(git_server: GitServer, shop: BareRepository, cache: Path) -> None:
    shop.commit({"a": "1", "b": "same"})
    opened(git_server.url("acme/shop"), cache).fetch("main")
    second = shop.commit({"a": "2"})
    repository = opened(git_server.url("acme/shop"), cache)
    assert repository.fetch("main") == second
    assert repository.read_files(second, ["a", "b"]) == {"a": b"2", "b": b"same"}


@pytest.mark.parametrize(
    ("rest", "ref", "path"),
    [
        ("main/docs/a.md", "main", "docs/a.md"),
        ("feature/x/docs/a.md", "feature/x", "docs/a.md"),
        ("v1.0/a.md", "v1.0", "a.md"),
        ("main", "main", ""),
        ("main/", "main", ""),
        ("main/odd ~name/a.md", "main", "odd ~name/a.md"),
    ],
)
def test_ref_and_path_are_told_apart_even_when_the_branch_has_slashes(
    git_server: GitServer, shop: BareRepository, cache: Path, rest: str, ref: str, path: str
) -> None:
    commit = shop.commit({"a": "1"})
    shop.commit({"a": "2"}, branch="feature/x")
    shop.tag("v1.0", commit)
    resolved = opened(git_server.url("acme/shop"), cache).resolve(rest)
    assert (resolved.ref, resolved.path) == (ref, path)
    assert git_server.listings == 1


def test_a_commit_id_in_a_web_address_asks_nobody(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    commit = shop.commit({"a": "1"})
    resolved = opened(git_server.url("acme/shop"), cache).resolve(f"{commit}/docs/a.md")
    assert (resolved.commit, resolved.path) == (commit, "docs/a.md")
    assert not git_server.requests


def test_an_unknown_branch_in_a_web_address_is_not_found(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    shop.commit({"a": "1"})
    with pytest.raises(NotFoundError, match="nope"):
        opened(git_server.url("acme/shop"), cache).resolve("nope/docs/a.md")


def test_what_is_missing_is_told_apart_from_what_cannot_be_read(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    commit = shop.commit({"dir/a": "1"})
    repository = opened(git_server.url("acme/shop"), cache)
    repository.fetch("main")
    with pytest.raises(NotFoundError, match="no repository"):
        opened(git_server.url("acme/none"), cache).fetch("main")
    with pytest.raises(NotFoundError, match="nope"):
        repository.fetch("nope")
    with pytest.raises(NotFoundError, match="does not exist"):
        repository.fetch("1" * 40)
    with pytest.raises(NotFoundError, match="no file nope"):
        repository.read_file(commit, "nope")
    with pytest.raises(InputError, match="is a folder"):
        repository.read_file(commit, "dir")
    shutil.rmtree(git_server.root)
    with pytest.raises(CallboardError):
        repository.remote_commit("main")


@pytest.mark.parametrize("path", ["../shop/a", "/etc/passwd", "dir/../a", "a\0", "", ".", "--textconv"])
def test_a_path_cannot_leave_the_repository(
    git_server: GitServer, shop: BareRepository, cache: Path, path: str
) -> None:
    commit = shop.commit({"dir/a": "1", "a": "2"})
    repository = opened(git_server.url("acme/shop"), cache)
    repository.fetch("main")
    with pytest.raises((NotFoundError, InputError)):
        repository.read_file(commit, path)


def test_links_and_submodules_are_not_followed(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    commit = shop.commit(
        {"real/a.yaml": "1"},
        symlinks={"link.yaml": "/etc/passwd", "inside.yaml": "real/a.yaml", "folder": "real"},
        submodules={"sub": "1" * 40},
    )
    repository = opened(git_server.url("acme/shop"), cache)
    repository.fetch("main")
    for path, what in [
        ("link.yaml", "symbolic link"),
        ("inside.yaml", "symbolic link"),
        ("folder/a.yaml", "symbolic link"),
        ("sub", "submodule"),
        ("sub/a.yaml", "submodule"),
    ]:
        with pytest.raises(InputError, match=what):
            repository.read_file(commit, path)
    assert len(git_server.requests) == len([r for r in git_server.requests if "/acme/shop.git/" in r])


def test_a_large_file_is_refused_before_it_is_read(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    commit = shop.commit({"big": "x" * 5000, "small": "y"})
    repository = opened(git_server.url("acme/shop"), cache)
    repository.fetch("main")
    with pytest.raises(TooLargeError, match="5000 bytes; at most 4096"):
        repository.read_file(commit, "big", max_bytes=4096)
    assert repository.read_file(commit, "small", max_bytes=4096) == b"y"


# ------------------------------------------------------------------------------------------------------- one fetch


def test_ten_readers_of_one_repository_fetch_once(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    commit = shop.commit({f"s{n}/catalog-info.yaml": f"n: {n}" for n in range(10)})

    def read(n: int) -> bytes:
        repository = opened(git_server.url("acme/shop"), cache)
        assert repository.fetch("main") == commit
        return repository.read_file(commit, f"s{n}/catalog-info.yaml")

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(read, range(10))) == [f"n: {n}".encode() for n in range(10)]
    assert git_server.fetches == 1


def test_an_unchanged_repository_is_not_fetched_again(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    commit = shop.commit({"a": "1"})
    opened(git_server.url("acme/shop"), cache).fetch("main")
    git_server.requests.clear()
    repository = opened(git_server.url("acme/shop"), cache)
    assert repository.remote_commit("main") == commit
    assert repository.fetch("main", commit=commit) == commit
    assert [request.split("?")[0] for request in git_server.requests] == [
        "GET /acme/shop.git/info/refs",
        "POST /acme/shop.git/git-upload-pack",
    ]
    assert git_server.fetches == 1


def test_a_lock_that_somebody_holds_is_waited_for_and_not_for_ever(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    shop.commit({"a": "1"})
    holder = opened(git_server.url("acme/shop"), cache)
    waiting = opened(git_server.url("acme/shop"), cache, timeout=-9.5)  # half a second for the lock
    commit = holder.remote_commit("main")
    with holder._lock(), pytest.raises(TimedOutError, match="by another process"):
        waiting.fetch("main", commit=commit)
    flag = threading.Event()
    flag.set()
    with holder._lock(), pytest.raises(CancelledError):
        opened(git_server.url("acme/shop"), cache, cancelled=flag.is_set).fetch("main", commit=commit)


def test_a_cache_does_not_grow_for_ever(
    git_server: GitServer, shop: BareRepository, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository_module, "MAX_PACKS", 3)
    for n in range(8):
        commit = shop.commit({"a": str(n)})
        repository = opened(git_server.url("acme/shop"), cache)
        assert repository.fetch("main") == commit
        assert repository.read_file(commit, "a") == str(n).encode()
    assert len(list(cache.glob("*/objects/pack/*.pack"))) <= 4


# ------------------------------------------------------------------------------------------------- damaged caches


def spoil_packs(cache: Path) -> None:
    for pack in cache.glob("*/objects/pack/*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(b"junk")


def truncate_packs(cache: Path) -> None:
    for pack in cache.glob("*/objects/pack/*.pack"):
        pack.chmod(0o600)
        with pack.open("r+b") as file:
            file.seek(pack.stat().st_size // 2)
            file.write(b"\xff" * 200)


def remove_head(cache: Path) -> None:
    for head in cache.glob("*/HEAD"):
        head.unlink()


def spoil_head(cache: Path) -> None:
    for head in cache.glob("*/HEAD"):
        head.write_text("\0\0\0")


def spoil_config(cache: Path) -> None:
    for config in cache.glob("*/config"):
        config.write_text("[core\nbroken")


def remove_objects(cache: Path) -> None:
    for folder in cache.glob("*/objects"):
        shutil.rmtree(folder)


def remove_all(cache: Path) -> None:
    for folder in cache.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)


def leave_locks(cache: Path) -> None:
    """What a git that was killed in the middle of a fetch leaves."""
    for head in cache.glob("*/HEAD"):
        (head.parent / "shallow.lock").touch()
        (head.parent / "packed-refs.lock").touch()


DAMAGES = [
    leave_locks,
    spoil_packs,
    truncate_packs,
    remove_head,
    spoil_head,
    spoil_config,
    remove_objects,
    remove_all,
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("moved", [False, True], ids=["same-commit", "new-commit"])
def test_a_damaged_cache_is_made_anew(
    git_server: GitServer, shop: BareRepository, cache: Path, damage: object, moved: bool
) -> None:
    commit = shop.commit({"a": os.urandom(3000), "b": os.urandom(3000)})
    opened(git_server.url("acme/shop"), cache).fetch("main")
    if moved:
        commit = shop.commit({"c": "new"})
    damage(cache)  # type: ignore[operator]  # one of DAMAGES
    repository = opened(git_server.url("acme/shop"), cache)
    assert repository.fetch("main") == commit
    assert set(repository.read_files(commit, ["a", "b"])) == {"a", "b"}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_cache_damaged_between_fetch_and_read_is_made_anew(
    git_server: GitServer, shop: BareRepository, cache: Path, damage: object
) -> None:
    commit = shop.commit({"a": os.urandom(3000), "b": os.urandom(3000)})
    repository = opened(git_server.url("acme/shop"), cache)
    repository.fetch("main")
    repository.list_tree(commit)
    shop.commit({"c": "the branch moved on"})
    damage(cache)  # type: ignore[operator]  # one of DAMAGES
    assert len(repository.read_file(commit, "b")) == 3000
