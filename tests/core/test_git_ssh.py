"""Repositories over ssh, from a real OpenSSH server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.core.errors import CallboardError
from portal.core.git import GitCredential
from tests.core.repositories import cache, opened
from tests.services.git_server import BareRepository
from tests.services.ssh_server import SshServer, make_key, serving_ssh

__all__ = ["cache"]

pytestmark = pytest.mark.services("sshd")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with serving_ssh(tmp_path_factory.mktemp("ssh")) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path) -> BareRepository:
    return BareRepository(tmp_path / "shop.git")


def address(server: SshServer, repository: BareRepository) -> str:
    return f"ssh://{server.user}@127.0.0.1:{server.port}{repository.path}"


def known_hosts(server: SshServer, key: str) -> str:
    """ssh looks up the host by the name that the address has, not by where it was found; the port is no part of it."""
    return f"127.0.0.1 {key}"


def test_a_file_is_read_over_ssh_with_the_key_of_the_credential(
    server: SshServer, shop: BareRepository, cache: Path
) -> None:
    commit = shop.commit({"catalog-info.yaml": "kind: Component"})
    repository = opened(address(server, shop), cache, credential=GitCredential(server.key))
    assert repository.fetch("main") == commit
    assert repository.read_file(commit, "catalog-info.yaml") == b"kind: Component"


def test_another_key_is_refused_and_the_error_says_so(
    server: SshServer, shop: BareRepository, cache: Path, tmp_path: Path
) -> None:
    shop.commit({"a": "1"})
    stranger = make_key(tmp_path / "stranger").read_text()
    with pytest.raises(CallboardError) as refused:
        opened(address(server, shop), cache, credential=GitCredential(stranger)).fetch("main")
    assert refused.value.code == "git.refused"
    assert "Permission denied" in refused.value.message
    assert stranger not in str(refused.value)


def test_a_host_key_is_learned_once_and_another_one_is_refused_from_then_on(
    server: SshServer, shop: BareRepository, cache: Path, tmp_path: Path
) -> None:
    shop.commit({"a": "1"})
    opened(address(server, shop), cache, credential=GitCredential(server.key)).fetch("main")
    learned = cache / "known_hosts"
    assert server.host_key.split()[1] in learned.read_text()

    other = Path(f"{make_key(tmp_path / 'other')}.pub").read_text()
    learned.write_text(known_hosts(server, other))
    shop.commit({"a": "2"})
    with pytest.raises(CallboardError) as refused:
        opened(address(server, shop), cache, credential=GitCredential(server.key)).fetch("main")
    assert refused.value.code == "git.host-key"


def test_with_known_hosts_of_the_credential_nothing_is_learned(
    server: SshServer, shop: BareRepository, cache: Path
) -> None:
    commit = shop.commit({"a": "1"})
    known = known_hosts(server, server.host_key)
    credential = GitCredential(server.key, known_hosts=known)
    assert opened(address(server, shop), cache, credential=credential).fetch("main") == commit
    assert not (cache / "known_hosts").exists()


def test_a_repository_that_is_not_there_is_told_from_a_server_that_is_not_there(
    server: SshServer, shop: BareRepository, cache: Path, tmp_path: Path
) -> None:
    absent = BareRepository(tmp_path / "absent.git")
    url = address(server, absent).replace("absent.git", "nothing.git")
    with pytest.raises(CallboardError) as missing:
        opened(url, cache, credential=GitCredential(server.key)).fetch("main")
    assert missing.value.code == "git.not-found"
    with pytest.raises(CallboardError) as silent:
        opened("ssh://git@127.0.0.1:1/shop.git", cache, credential=GitCredential(server.key)).fetch("main")
    assert silent.value.code == "git.failed"
    assert "Connection refused" in silent.value.message
