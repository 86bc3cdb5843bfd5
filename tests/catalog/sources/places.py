"""What the tests of sources share: sessions on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalog.ingest.sources import ReadSession
from portal.connections.hosts import HostConfig


def host(base: str, kind: str = "plain", **more: Any) -> HostConfig:
    """A connection to a server of the test, which has a private address."""
    api = f"{base}/api/v1" if kind == "gitea" else ""
    values: dict[str, Any] = {"base_url": base, "api_url": api, "allow_private": True, "name": "test"}
    return HostConfig(base.partition("://")[2], kind, **{**values, **more})


def session(tmp_path: Path, *hosts: HostConfig, **options: Any) -> ReadSession:
    """A session with a Git cache and a file root of the test's own."""
    values: dict[str, Any] = {"file_roots": [tmp_path / "roots"], "git_cache": tmp_path / "cache"}
    return ReadSession(hosts=hosts, **{**values, **options})


def again(earlier: ReadSession, tmp_path: Path, *hosts: HostConfig, **options: Any) -> ReadSession:
    """The session of the next sync, which knows what the earlier one read."""
    known = {one.url: (one.version, one.digest) for one in earlier.files_to_remember()}
    return session(tmp_path, *hosts, known=known, **options)
