"""A real OpenSSH server on loopback, for the user who runs the tests, with keys of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SshServer:
    """Where it listens, whom it lets in, and who it is.

    Attributes:
        key: text of the private key that opens it.
        host_key: its public key, as it stands in known_hosts after the name.
    """

    port: int
    user: str
    key: str
    host_key: str


def sshd_program() -> str | None:
    """The OpenSSH server of this machine; it is often outside of PATH."""
    return shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


def make_key(path: Path) -> Path:
    """A new key pair; returns the file of the private one."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True, timeout=30
    )
    return path


@contextmanager
def serving_ssh(folder: Path) -> Iterator[SshServer]:
    """Run the server until the block ends."""
    program = sshd_program()
    assert program is not None
    folder.mkdir(parents=True, exist_ok=True)
    host, client = make_key(folder / "host"), make_key(folder / "client")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = folder / "sshd_config"
    configuration.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {client}.pub\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\nMaxStartups 50\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where its processes without rights live
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([program, "-D", "-e", "-f", str(configuration)], stderr=log)
        try:
            _wait(port, server, folder / "log")
            yield SshServer(port, getpass.getuser(), client.read_text(), Path(f"{host}.pub").read_text())
        finally:
            server.terminate()
            server.wait(10)


def _wait(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        if server.poll() is not None:
            raise RuntimeError(f"sshd ended: {log.read_text()}")
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"sshd does not listen on {port}: {log.read_text()}")
