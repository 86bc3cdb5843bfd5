"""How git is run: its whole configuration, its credentials and the one address that it may talk to.

Everything goes through the environment of the child: command lines are visible to every user of the machine.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from portal.core.context import request_id
from portal.core.egress import EgressPolicy, approve, join_addresses
from portal.core.errors import InputError, ServiceUnavailableError
from portal.core.git.address import GitAddress
from portal.core.process import Completed, ProcessFailedError, run_limited

#: The first version that can be told the address of a host (http.curloptResolve).
OLDEST_GIT = (2, 37)

_SAFE_SETTINGS = (
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("protocol.version", "2"),
    ("http.followRedirects", "false"),
    ("http.proxy", ""),
    ("http.lowSpeedLimit", "500"),
    ("http.lowSpeedTime", "20"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.unpackLimit", "1"),  # always one pack file, whose size the process limit caps
    ("fetch.writeCommitGraph", "false"),
    ("transfer.bundleURI", "false"),
    ("pack.threads", "1"),
)


@dataclass(frozen=True, slots=True, repr=False)
class GitCredential:
    """What opens a repository.

    Args:
        secret: a password or token for http and https; the text of a private key for ssh.
        username: for http and https.
        known_hosts: for ssh, lines of a known_hosts file; without them the key of a host is learned on first use
            and has to stay the same from then on.
    """

    secret: str = ""
    username: str = "git"
    known_hosts: str = ""

    def header(self) -> str:
        """The Authorization header.

        Raises:
            InputError: the secret holds a line break or another character that no header can have.
        """
        if re.search(r"[\x00-\x1f\x7f]", self.secret + self.username):
            raise InputError(
                "The credential for the repository holds a line break or control character.",
                code="git.credential",
                remedy="Check the credential for a line break at its end.",
            )
        joined = f"{self.username}:{self.secret}".encode()
        return "Authorization: Basic " + base64.b64encode(joined).decode("ascii")


def run_git(
    args: Sequence[str],
    *,
    folder: Path | None,
    timeout: float,
    settings: Sequence[tuple[str, str]] = (),
    env: dict[str, str] | None = None,
    stdin: bytes = b"",
    max_output: int = 64 * 1024 * 1024,
    file_bytes: int | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Completed:
    """Run git on the bare repository in ``folder``, or on none, with our configuration and nobody else's.

    Raises:
        ProcessFailedError: it failed; and what :func:`portal.core.process.run_limited` raises.
    """
    configuration = [*_SAFE_SETTINGS, *settings]
    environment = {
        "GIT_DIR": str(folder) if folder else os.devnull,
        "HOME": os.devnull,  # no ~/.netrc
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_CONFIG_COUNT": str(len(configuration)),
        **(env or {}),
    }
    for number, (key, value) in enumerate(configuration):
        environment[f"GIT_CONFIG_KEY_{number}"] = key
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    return run_limited(
        ["git", *args],
        timeout=timeout,
        cwd=folder or os.path.sep,
        env=environment,
        stdin=stdin,
        max_output=max_output,
        cpu_seconds=int(timeout) + 1,
        file_bytes=file_bytes,
        cancelled=cancelled,
    )


@dataclass(frozen=True, slots=True)
class Remote:
    """A server, and what may be used to talk to it."""

    address: GitAddress
    policy: EgressPolicy
    credential: GitCredential | None
    state: Path  # where host keys are remembered

    def run(
        self,
        args: Sequence[str],
        *,
        folder: Path | None,
        timeout: float,
        file_bytes: int | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Completed:
        """Run a git command that talks to this server, and to nothing else.

        Raises:
            ProcessFailedError: it failed; credentials do not appear in its texts.
            EgressRefusedError: the server is at an address that may not be reached.
        """
        check_git_version()
        with self._way(timeout) as (settings, env):
            env["GIT_ALLOW_PROTOCOL"] = self.address.scheme
            try:
                return run_git(
                    args,
                    folder=folder,
                    timeout=timeout,
                    settings=[(f"protocol.{self.address.scheme}.allow", "always"), *settings],
                    env=env,
                    file_bytes=file_bytes,
                    cancelled=cancelled,
                )
            except ProcessFailedError as error:
                raise self._without_secrets(error) from None

    @contextmanager
    def _way(self, timeout: float) -> Iterator[tuple[list[tuple[str, str]], dict[str, str]]]:
        """Configuration and environment that lead to this server."""
        address = self.address
        if address.scheme == "file":
            # The server side runs on the same machine, often as another user than the one who owns the files.
            trusting = self.state / "file.gitconfig"
            if not trusting.exists():
                draft = trusting.with_suffix(f".{os.getpid()}.tmp")
                draft.write_text("[safe]\n\tdirectory = *\n")
                draft.replace(trusting)
            yield [], {"GIT_CONFIG_GLOBAL": str(trusting)}
            return
        approved = approve(address.host, address.port, self.policy, timeout=min(timeout, 10))
        if address.scheme == "ssh":
            with tempfile.TemporaryDirectory(prefix="callboard-ssh-") as folder:
                yield [], {"GIT_SSH_COMMAND": self._ssh_command(Path(folder), approved.addresses[0])}
            return
        server = address.url[: address.url.index("/", address.url.index("://") + 3) + 1]
        settings = []
        if approved.addresses != (address.host,):
            pinned = f"{address.host}:{address.port}:{join_addresses(approved.addresses)}"
            settings.append(("http.curloptResolve", pinned))
        if self.credential is not None and self.credential.secret:
            settings.append((f"http.{server}.extraHeader", self.credential.header()))
        if request_id.get():
            settings.append((f"http.{server}.extraHeader", f"X-Request-Id: {request_id.get()}"))
        authorities = os.environ.get("SSL_CERT_FILE")
        yield settings, {"GIT_SSL_CAINFO": authorities} if authorities else {}

    def _ssh_command(self, folder: Path, target: str) -> str:
        credential = self.credential or GitCredential()
        key = folder / "key"
        key.touch(mode=0o600)
        key.write_text(credential.secret.strip() + "\n" if credential.secret else "")
        known = self.state / "known_hosts"
        if credential.known_hosts:
            known = folder / "known_hosts"
            known.write_text(credential.known_hosts)
        options = {
            "BatchMode": "yes",
            "ClearAllForwardings": "yes",
            "ConnectTimeout": "15",
            "ForwardAgent": "no",
            "HostKeyAlias": self.address.host,
            "HostName": target,
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "IdentityFile": str(key),
            "PermitLocalCommand": "no",
            "ProxyCommand": "none",
            "ServerAliveInterval": "15",
            "StrictHostKeyChecking": "yes" if credential.known_hosts else "accept-new",
            "UserKnownHostsFile": str(known),
        }
        command = ["ssh", "-F", os.devnull]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        return shlex.join(command)

    def _without_secrets(self, error: ProcessFailedError) -> ProcessFailedError:
        """git prints no header, but what a server sends back is printed, and may repeat what it was told."""
        secrets = []
        if self.credential is not None and self.credential.secret:
            secrets = [self.credential.secret]
            if self.address.scheme != "ssh":  # a private key is in no header, and could not be
                secrets.append(self.credential.header().rpartition(" ")[2])
        message, stderr = error.message, error.stderr
        for secret in secrets:
            message, stderr = message.replace(secret, "***"), stderr.replace(secret, "***")
        return ProcessFailedError(message, returncode=error.returncode, stderr=stderr)


@lru_cache(maxsize=1)
def check_git_version() -> None:
    """Make sure that git obeys all that we tell it.

    Raises:
        ServiceUnavailableError: git is missing or too old.
    """
    text = run_limited(["git", "version"], timeout=20).stdout.decode("utf-8", "replace")
    match = re.search(r"(\d+)\.(\d+)", text)
    if match is None or (int(match[1]), int(match[2])) < OLDEST_GIT:
        raise ServiceUnavailableError(
            f"{text.strip() or 'This git'} is too old.",
            code="git.version",
            remedy=f"Install git {OLDEST_GIT[0]}.{OLDEST_GIT[1]} or newer on this machine.",
        )
