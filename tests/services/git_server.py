"""A real Git server on loopback: ``git http-backend`` behind a small HTTP handler, and repositories to serve.

Use the fixture by importing it (``from tests.services.git_server import git_server``) or run :func:`serving_git`.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Callboard tests",
    "GIT_AUTHOR_EMAIL": "tests@callboard.invalid",
    "GIT_COMMITTER_NAME": "Callboard tests",
    "GIT_COMMITTER_EMAIL": "tests@callboard.invalid",
}


def git(*args: str | Path, cwd: Path, stdin: bytes | None = None) -> str:
    """Run git for the setting-up of a test and return what it printed."""
    done = subprocess.run(
        ["git", *args], cwd=cwd, env=_ENVIRONMENT, input=stdin, capture_output=True, check=True, timeout=60
    )
    return done.stdout.decode().strip()


class BareRepository:
    """A bare repository to which a test commits without a working tree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        git("init", "--quiet", "--bare", "--initial-branch=main", cwd=path)

    def commit(
        self,
        files: Mapping[str, bytes | str],
        *,
        branch: str = "main",
        symlinks: Mapping[str, str] | None = None,
        submodules: Mapping[str, str] | None = None,
        keep: bool = True,
    ) -> str:
        """Write a commit with these files on top of the branch; return its id.

        Args:
            files: path -> contents; an empty mapping with ``keep=False`` empties the tree.
            symlinks: path -> where it points.
            submodules: path -> commit id.
            keep: whether what the branch has already stays.
        """
        index = self.path / "test-index"
        index.unlink(missing_ok=True)
        parent = self.head(branch)
        if parent and keep:
            self._with_index("read-tree", parent)
        entries = [("100644", path, data) for path, data in files.items()]
        entries += [("120000", path, target) for path, target in (symlinks or {}).items()]
        lines = []
        for mode, path, data in entries:
            raw = data.encode() if isinstance(data, str) else data
            oid = git("hash-object", "-w", "--stdin", cwd=self.path, stdin=raw)
            lines.append(f"{mode} {oid}\t{path}")
        lines += [f"160000 {commit}\t{path}" for path, commit in (submodules or {}).items()]
        self._with_index(
            "update-index", "-z", "--index-info", stdin="".join(f"{line}\0" for line in lines).encode()
        )
        tree = self._with_index("write-tree")
        parents = ["-p", parent] if parent else []
        commit = git("commit-tree", tree, *parents, "-m", "A change", cwd=self.path)
        git("update-ref", f"refs/heads/{branch}", commit, cwd=self.path)
        index.unlink(missing_ok=True)
        return commit

    def tag(self, name: str, commit: str, *, annotated: bool = False) -> None:
        if annotated:
            git("tag", "-a", "-m", name, name, commit, cwd=self.path)
        else:
            git("tag", name, commit, cwd=self.path)

    def head(self, branch: str = "main") -> str:
        """The commit of a branch, or an empty string."""
        return git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}", cwd=self.path)

    def _with_index(self, *args: str, stdin: bytes | None = None) -> str:
        done = subprocess.run(
            ["git", *args],
            cwd=self.path,
            env={**_ENVIRONMENT, "GIT_INDEX_FILE": str(self.path / "test-index")},
            input=stdin,
            capture_output=True,
            check=True,
            timeout=60,
        )
        return done.stdout.decode().strip()


@dataclass
class GitServer:
    """What runs, and what it was asked.

    Attributes:
        root: folder of the bare repositories; ``root / "o/r.git"`` is served as ``{base}/o/r.git``.
        base: URL without a slash at its end.
        requests: method and path with query of every request.
        fetches: how many packs were sent.
        listings: how many times refs were listed.
        authorizations: Authorization headers that arrived, one per request (empty when there was none).
        required: ``user:password`` without which everything is 401; empty for none.
        redirects: path prefix -> URL prefix it is answered with (301).
    """

    root: Path
    base: str = ""
    requests: list[str] = field(default_factory=list)
    fetches: int = 0
    listings: int = 0
    authorizations: list[str] = field(default_factory=list)
    required: str = ""
    redirects: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """``host:port``."""
        return urlsplit(self.base).netloc

    def repository(self, name: str) -> BareRepository:
        """Make an empty repository, such as ``acme/shop``, served as ``{base}/acme/shop.git``."""
        repository = BareRepository(self.root / f"{name}.git")
        git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=repository.path)
        return repository

    def url(self, name: str) -> str:
        return f"{self.base}/{name}.git"


@contextlib.contextmanager
def serving_git(root: Path) -> Iterator[GitServer]:
    """Serve the repositories below a folder until the block ends."""
    server = GitServer(root)
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    httpd.daemon_threads = True
    server.base = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[GitServer]:
    """A Git server of the test's own."""
    with serving_git(tmp_path / "git-server") as server:
        yield server


def _handler(server: GitServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else self._chunked()
            authorization = self.headers.get("Authorization", "")
            server.requests.append(f"{self.command} {self.path}")
            server.authorizations.append(authorization)
            for prefix, target in server.redirects.items():
                if self.path.startswith(prefix):
                    return self._short(301, {"Location": target + self.path.removeprefix(prefix)})
            if server.required:
                expected = "Basic " + base64.b64encode(server.required.encode()).decode()
                if authorization != expected:
                    return self._short(401, {"WWW-Authenticate": 'Basic realm="test"'})
            return self._backend(body)

        do_GET = do_POST = handle_any

        def _short(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _chunked(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return b""
            out = bytearray()
            while size := int(self.rfile.readline().split(b";")[0], 16):
                out += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return bytes(out)

        def _backend(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            done = subprocess.run(
                ["git", "http-backend"],
                env={
                    **_ENVIRONMENT,
                    "GIT_PROJECT_ROOT": str(server.root),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "CONTENT_LENGTH": str(len(body)),
                    "REMOTE_ADDR": "127.0.0.1",
                },
                input=body,
                capture_output=True,
                check=False,
                timeout=60,
            )
            head, _, answer = done.stdout.partition(b"\r\n\r\n")
            if b"packfile\n" in answer[:4096] or (b"PACK" in answer and path.endswith("/git-upload-pack")):
                server.fetches += 1
            elif path.endswith("/info/refs"):
                server.listings += 1
            status = 200
            headers = []
            for line in head.decode("latin-1").split("\r\n"):
                name, _, value = line.partition(": ")
                if name.lower() == "status":
                    status = int(value.split()[0])
                elif name:
                    headers.append((name, value))
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the client may have seen enough
                self.wfile.write(answer)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    return Handler
