"""What repositories and servers must not be able to do: arguments, redirects, credentials, time, local files, ssh."""

from __future__ import annotations

import base64
import os
import shutil
import stat
import threading
import time
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core import egress
from portal.core.context import request_id
from portal.core.egress import EgressPolicy
from portal.core.errors import (
    EgressRefusedError,
    InputError,
    NotAllowedError,
    NotFoundError,
    TimedOutError,
    TooLargeError,
)
from portal.core.git import GitCredential, GitError, GitRefusedError, Repository, check_ref, parse_address
from portal.core.process import CancelledError, run_limited
from tests.core.repositories import cache, git_server, opened, shop
from tests.services.git_server import BareRepository, GitServer, git, serving_git
from tests.services.http_server import Reply, drip, hang, raw_serving, serving

__all__ = ["cache", "git_server", "shop"]

SECRET = "tok-5ecret-value"


# -------------------------------------------------------------------------------------------- arguments and protocols


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch pwned",
        "-u",
        "ext::sh -c touch% pwned",
        "fd::17",
        "file::/tmp",
        "https://-oProxyCommand=x/repo.git",
        "ssh://-oProxyCommand=touch/repo.git",
        "ssh://-user@host.example/repo.git",
        "ssh://user:pw@host.example/repo.git",
        "git://host.example/repo.git",
        "ftp://host.example/repo.git",
        "https://user:pw@host.example/repo.git",
        "https://host.example/",
        "https://host.example/repo.git?x=1",
        "https://host.example/re po.git",
        "https://host.example/repo.git\n",
        "-x@host.example:repo.git",
        "relative/path",
        "",
    ],
)
def test_what_is_not_the_address_of_a_repository_is_refused(url: str, cache: Path) -> None:
    with pytest.raises(InputError):
        opened(url, cache)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("git@host.example:acme/shop.git", "ssh://git@host.example/acme/shop.git"),
        ("https://HOST.example/acme/shop.git/", "https://HOST.example/acme/shop.git"),
        ("ssh://host.example/acme/shop.git", "ssh://git@host.example:22/acme/shop.git"),
        ("ssh://me@host.example:2222/shop.git", "ssh://me@host.example:2222/shop.git"),
    ],
)
def test_the_usual_forms_of_addresses_are_understood(url: str, clean: str) -> None:
    address = parse_address(url)
    assert address.url.replace(":22/", "/") == clean.replace(":22/", "/")
    assert address.host == "host.example"


@pytest.mark.parametrize(
    "ref",
    ["-d", "--upload-pack=x", "a..b", "a b", "a\0", "a~1", "a^{}", "a:b", "*", "a[0]", "/a", "a/", "a//b", "a.lock",
     "@{-1}", ".hidden", "a/.b", "@", "x" * 300, "a\\b"],
)  # fmt: skip
def test_what_cannot_be_a_ref_is_refused(
    git_server: GitServer, shop: BareRepository, cache: Path, ref: str
) -> None:
    shop.commit({"a": "1"})
    with pytest.raises(InputError, match="not the name of a branch"):
        opened(git_server.url("acme/shop"), cache).fetch(ref)


@given(st.text(max_size=40))
def test_our_rules_for_refs_are_not_looser_than_those_of_git(ref: str) -> None:
    try:
        check_ref(ref)
    except InputError:
        return
    assert (
        run_limited(["git", "check-ref-format", f"refs/heads/{ref}"], timeout=20, check=False).returncode == 0
    )


def test_hooks_filters_and_configuration_of_others_take_no_part(
    git_server: GitServer, shop: BareRepository, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "pwned"
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f"[core]\n\tsshCommand = touch {mark}\n\tfsmonitor = touch {mark}\n"
        '[url "http://127.0.0.1:9/"]\n\tinsteadOf = http\n'
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"touch {mark}")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    commit = shop.commit({"a.yaml": "1", ".gitattributes": "* filter=evil diff=evil textconv"})
    repository = opened(git_server.url("acme/shop"), cache)
    repository.fetch("main")
    hook = next(cache.glob("*/HEAD")).parent / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    second = shop.commit({"a.yaml": "2"})
    assert repository.fetch("main") == second
    assert repository.read_file(commit, "a.yaml") == b"1"
    assert not mark.exists()


# ------------------------------------------------------------------------------------------------------ credentials


def test_credentials_reach_the_server_and_nothing_else(
    git_server: GitServer, shop: BareRepository, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    seen.mkdir()
    programs = tmp_path / "bin"
    programs.mkdir()
    real = shutil.which("git")
    (programs / "git").write_text(f'#!/bin/sh\necho "$@" >> {seen}/args\nexec {real} "$@"\n')
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    commit = shop.commit({"a": "1"})
    git_server.required = f"bot:{SECRET}"
    repository = opened(git_server.url("acme/shop"), cache, credential=GitCredential(SECRET, "bot"))
    assert repository.fetch("main") == commit
    encoded = base64.b64encode(f"bot:{SECRET}".encode()).decode()
    assert set(git_server.authorizations) == {f"Basic {encoded}"}
    stored = b"".join(path.read_bytes() for path in cache.rglob("*") if path.is_file())
    arguments = (seen / "args").read_text()
    assert "ls-remote" in arguments
    for secret in (SECRET, encoded):
        assert secret not in arguments
        assert secret.encode() not in stored
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_a_wrong_credential_is_said_without_showing_it(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    shop.commit({"a": "1"})
    git_server.required = "bot:other"
    for credential in (None, GitCredential(SECRET, "bot")):
        repository = opened(git_server.url("acme/shop"), cache, credential=credential)
        with pytest.raises(GitRefusedError) as caught:
            repository.fetch("main")
        shown = "".join(traceback.format_exception(caught.value)) + repr(credential)
        assert SECRET not in shown
        assert base64.b64encode(f"bot:{SECRET}".encode()).decode() not in shown
        assert "credential" in caught.value.remedy


def test_a_server_that_repeats_a_credential_does_not_get_it_into_an_error(cache: Path) -> None:
    body = f"your token {SECRET} is bad".encode()
    reply = Reply(500, body, {"Content-Type": "text/plain"})
    with serving(lambda seen: reply) as server, pytest.raises(GitError) as caught:
        opened(f"{server.base}/x.git", cache, credential=GitCredential(SECRET)).remote_commit("main")
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)


def test_a_credential_with_a_line_break_is_refused(git_server: GitServer, cache: Path) -> None:
    repository = opened(git_server.url("acme/shop"), cache, credential=GitCredential(f"{SECRET}\nX: y"))
    with pytest.raises(InputError) as caught:
        repository.remote_commit("main")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_the_request_id_travels_to_the_server(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    shop.commit({"a": "1"})
    token = request_id.set("req-77")
    with serving(lambda seen: Reply(404)) as server:
        with pytest.raises(NotFoundError):
            opened(f"{server.base}/x.git", cache).remote_commit("main")
        assert server.seen[0].headers["x-request-id"] == "req-77"
    request_id.reset(token)


# ----------------------------------------------------------------------------------------------- addresses, redirects


def test_an_address_that_is_not_allowed_is_refused(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    shop.commit({"a": "1"})
    repository = Repository(git_server.url("acme/shop"), cache=cache, policy=EgressPolicy())
    with pytest.raises(EgressRefusedError):
        repository.fetch("main")
    assert not git_server.requests


def test_git_connects_to_the_approved_address_whatever_the_name_says_later(
    git_server: GitServer, shop: BareRepository, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = shop.commit({"a": "1"})
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    monkeypatch.setattr(egress, "resolve", resolve)
    port = git_server.base.rpartition(":")[2]
    # The name does not exist outside of our own resolver, so reaching the server proves the pin.
    repository = opened(f"http://git.callboard.invalid:{port}/acme/shop.git", cache)
    assert repository.fetch("main") == commit
    assert asked


def test_a_redirect_within_reach_is_followed(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    commit = shop.commit({"a": "1"})
    git_server.redirects["/old/shop"] = f"{git_server.base}/acme/shop"
    repository = opened(git_server.url("old/shop"), cache)
    assert repository.fetch("main") == commit
    assert repository.read_file(commit, "a") == b"1"


@pytest.mark.parametrize("target", ["http://169.254.169.254", "http://[::1]:1"])
def test_a_redirect_to_an_internal_address_is_refused(
    git_server: GitServer, cache: Path, target: str
) -> None:
    git_server.redirects["/acme/shop.git"] = f"{target}/acme/shop.git"
    with pytest.raises(EgressRefusedError):
        opened(git_server.url("acme/shop"), cache).fetch("main")


def test_credentials_do_not_follow_a_redirect_to_another_server(
    git_server: GitServer, cache: Path, tmp_path: Path
) -> None:
    with serving_git(tmp_path / "elsewhere") as other:
        commit = other.repository("acme/shop").commit({"a": "1"})
        git_server.redirects["/acme/shop"] = f"{other.base}/acme/shop"
        repository = opened(git_server.url("acme/shop"), cache, credential=GitCredential(SECRET))
        assert repository.fetch("main") == commit
        assert any(git_server.authorizations)
        assert not any(other.authorizations)


def test_a_redirect_to_something_else_is_refused(git_server: GitServer, cache: Path) -> None:
    git_server.redirects["/acme/shop.git/info"] = f"{git_server.base}/login?from=shop&x="
    with pytest.raises(GitError, match="not the same repository"):
        opened(git_server.url("acme/shop"), cache).fetch("main")


# --------------------------------------------------------------------------------------------------------- limits


def test_a_server_that_hangs_ends_in_a_timeout(cache: Path) -> None:
    started = time.monotonic()
    with raw_serving(hang) as port, pytest.raises(TimedOutError, match="did not answer within 1 s"):
        opened(f"http://127.0.0.1:{port}/x.git", cache, timeout=1).fetch("main")
    assert time.monotonic() - started < 5


def test_a_server_that_drips_ends_in_a_timeout(cache: Path) -> None:
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n001e# service="
    )
    with raw_serving(drip(head, 0.05)) as port, pytest.raises(TimedOutError):
        opened(f"http://127.0.0.1:{port}/x.git", cache, timeout=1).fetch("main")


def test_a_cancel_ends_the_work(cache: Path) -> None:
    flag = threading.Event()
    timer = threading.Timer(0.3, flag.set)
    timer.start()
    with raw_serving(hang) as port, pytest.raises(CancelledError):
        opened(f"http://127.0.0.1:{port}/x.git", cache, cancelled=flag.is_set).fetch("main")
    timer.join()


def test_a_repository_that_is_too_large_is_cut_off(
    git_server: GitServer, shop: BareRepository, cache: Path
) -> None:
    shop.commit({"a": os.urandom(2_000_000)})
    with pytest.raises(TooLargeError, match="larger than 500000 bytes"):
        opened(git_server.url("acme/shop"), cache, max_bytes=500_000).fetch("main")
    assert not list(cache.rglob("tmp_*"))


def test_a_sign_in_page_instead_of_a_repository_is_unreadable_not_missing(cache: Path) -> None:
    with serving(lambda seen: Reply(body=b"<html>hello</html>")) as server, pytest.raises(GitError) as caught:
        opened(f"{server.base}/x.git", cache).fetch("main")
    assert server.base in caught.value.message


# ------------------------------------------------------------------------------------------------- local repositories


def test_a_local_repository_below_a_root_is_read(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "roots"
    repository = BareRepository(root / "my shop%.git")
    commit = repository.commit({"a": "1"})
    for url in (str(repository.path), repository.path.as_uri()):
        reader = opened(url, cache, file_roots=[root])
        assert reader.fetch("main") == commit
        assert reader.read_file(commit, "a") == b"1"


def test_a_working_copy_below_a_root_is_read_as_committed(tmp_path: Path, cache: Path) -> None:
    work = tmp_path / "roots" / "work"
    work.mkdir(parents=True)
    git("init", "--quiet", "--initial-branch=main", cwd=work)
    (work / "a").write_text("1")
    git("add", "a", cwd=work)
    git("commit", "--quiet", "-m", "A", cwd=work)
    reader = opened(str(work), cache, file_roots=[tmp_path / "roots"])
    assert reader.read_file(reader.fetch("main"), "a") == b"1"


def test_local_repositories_outside_of_the_roots_are_refused(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "roots"
    root.mkdir()
    outside = BareRepository(tmp_path / "outside.git")
    outside.commit({"a": "1"})
    (root / "link.git").symlink_to(outside.path)
    for url in (
        str(outside.path),
        f"{root}/../outside.git",
        str(root / "link.git"),
        f"file://{root}/%2e%2e/outside.git",
    ):
        with pytest.raises(NotAllowedError):
            opened(url, cache, file_roots=[root])
    with pytest.raises(NotAllowedError):
        opened(str(outside.path), cache)
    with pytest.raises(NotFoundError):
        opened(str(root), cache, file_roots=[root])


def test_a_local_repository_that_borrows_from_outside_is_refused(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "roots"
    outside = BareRepository(tmp_path / "outside.git")
    outside.commit({"a": "1"})
    borrowing = BareRepository(root / "borrowing.git")
    alternates = borrowing.path / "objects" / "info" / "alternates"
    alternates.write_text(f"{outside.path}/objects\n")
    moved = BareRepository(root / "moved.git")
    shutil.rmtree(moved.path / "objects")
    (moved.path / "objects").symlink_to(outside.path / "objects")
    for repository in (borrowing, moved):
        with pytest.raises(NotAllowedError, match="borrows"):
            opened(str(repository.path), cache, file_roots=[root])


# -------------------------------------------------------------------------------------------------------------- ssh


def test_ssh_goes_to_the_approved_address_with_the_key_and_without_the_users_configuration(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for ssh notes what it is told and runs the server's side on this machine."""
    bare = BareRepository(tmp_path / "server" / "shop.git")
    commit = bare.commit({"a": "1"})
    programs = tmp_path / "bin"
    programs.mkdir()
    log = tmp_path / "log"
    (programs / "ssh").write_text(
        "#!/bin/sh\n"
        f'for arg in "$@"; do echo "$arg" >> {log}; case "$arg" in IdentityFile=*) '
        f'stat -c "mode %a" "${{arg#*=}}" >> {log}; cat "${{arg#*=}}" >> {log};; esac; last="$arg"; done\n'
        f'cd {tmp_path / "server"} && eval "exec git ${{last#git-}}"\n'
    )
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(egress, "resolve", lambda host, port: ["127.0.0.7"])
    key = "-----BEGIN KEY-----\nabc\n-----END KEY-----"
    repository = opened(
        f"ssh://git@git.example:2222{tmp_path}/server/shop.git", cache, credential=GitCredential(key)
    )
    assert repository.fetch("main") == commit
    told = log.read_text().splitlines()
    for expected in (
        "HostName=127.0.0.7",
        "HostKeyAlias=git.example",
        "StrictHostKeyChecking=accept-new",
        f"UserKnownHostsFile={cache}/known_hosts",
        "BatchMode=yes",
        "mode 600",
        "-----BEGIN KEY-----",
        "2222",
        "git@git.example",
    ):
        assert expected in told
    assert told[:2] == ["-F", "/dev/null"]
    identity = next(line for line in told if line.startswith("IdentityFile="))
    assert not Path(identity.partition("=")[2]).exists()


def test_ssh_to_an_internal_address_is_refused(cache: Path) -> None:
    with pytest.raises(EgressRefusedError):
        Repository("ssh://git@127.0.0.1/shop.git", cache=cache, policy=EgressPolicy()).remote_commit("main")
