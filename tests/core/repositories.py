"""Repositories of a Git server of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from portal.core.egress import EgressPolicy
from portal.core.git import Repository
from tests.services.git_server import BareRepository, GitServer, git_server

__all__ = ["LOOPBACK", "cache", "git_server", "opened", "shop"]

LOOPBACK = EgressPolicy(("127.0.0.0/8",))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def shop(git_server: GitServer) -> BareRepository:
    return git_server.repository("acme/shop")


def opened(url: str, cache: Path, **options: object) -> Repository:
    return Repository(url, cache=cache, policy=LOOPBACK, **options)  # type: ignore[arg-type]  # as the test says
