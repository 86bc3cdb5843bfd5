"""Run a program that can hang, flood or eat memory, and always get the machine back.

Everything that is not ours and may misbehave (git, archives, graphviz, cookiecutter) runs through
:func:`run_limited`: in its own process group, with a minimal environment, resource limits and a wall clock.
However the call ends (result, time-out, cancel, an exception in the caller), no process of it is left.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from portal.core.errors import CallboardError, ServiceUnavailableError, TimedOutError, TooLargeError

#: How often a running child looks at the cancel flag, in seconds.
CANCEL_INTERVAL = 0.2
#: Bytes of standard error that are kept for messages; what comes after them is read and dropped.
STDERR_BYTES = 64 * 1024

# The limits are set by a shell that then becomes the program: Python's preexec_fn may deadlock in a process
# with threads, which all our servers and workers are. Arguments travel as "$@" and no shell ever parses them.
# The soft limit of processor time comes first, since its signal tells what happened; the hard one just kills.
# Address space cannot be limited on macOS: there that limit is left out instead of failing the run.
_LIMIT_COMMANDS: dict[str, tuple[str, int]] = {  # limit -> command, bytes or seconds per unit
    "cpu_seconds": ("ulimit -S -t {0}; ulimit -H -t $(({0} + 1))", 1),
    "memory_bytes": ("ulimit -v {0} 2>/dev/null", 1024),
    "file_bytes": ("ulimit -f {0}", 512),
}


class CancelledError(CallboardError):
    """Somebody, or the loss of a lease, asked for the work to end."""

    name, status, default_code = "CancelledError", 409, "cancelled"


class ProcessFailedError(CallboardError):
    """A program ended with another exit status than 0.

    Attributes:
        returncode: its exit status; negative: the number of the signal that ended it.
        stderr: what it wrote to standard error, at most 64 KiB, undecodable bytes replaced.
    """

    name, status, default_code = "ProcessFailedError", 500, "process.failed"

    def __init__(
        self, message: str, *, returncode: int, stderr: str = "", code: str = "", remedy: str = ""
    ) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.returncode = returncode
        self.stderr = stderr


@dataclass(frozen=True, slots=True)
class Completed:
    """What a finished program left behind."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run_limited(
    args: Sequence[str | os.PathLike[str]],
    *,
    timeout: float,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    max_output: int = 16 * 1024 * 1024,
    cpu_seconds: int | None = None,
    memory_bytes: int | None = None,
    file_bytes: int | None = None,
    cancelled: Callable[[], bool] | None = None,
    check: bool = True,
) -> Completed:
    """Run a program to its end and return what it wrote.

    Args:
        args: program and arguments; the program is looked up in the child's ``PATH``. No shell reads them.
        timeout: seconds on the wall clock for all of it.
        cwd: the child's working folder; the caller's by default.
        env: added to the minimal environment (``PATH``, ``LC_ALL=C``, ``TMPDIR``); nothing else is inherited.
        stdin: bytes given to the child, then end of file.
        max_output: bytes of standard output after which the run is ended.
        cpu_seconds: processor time for each process.
        memory_bytes: address space for each process (not enforced on macOS).
        file_bytes: size of any file that it writes.
        cancelled: asked every 0.2 s; true ends the run.
        check: whether an exit status other than 0 is an error.

    Raises:
        TimedOutError: the wall clock or the processor time ran out.
        TooLargeError: more output than ``max_output``, or a file larger than ``file_bytes``.
        CancelledError: ``cancelled`` said so.
        ProcessFailedError: exit status other than 0, with ``check``.
        ServiceUnavailableError: the program is not installed.
    """
    if not args:
        raise ValueError("run_limited needs a program")
    name = Path(args[0]).name
    environment = minimal_environment(env)
    program = shutil.which(args[0], path=environment["PATH"])
    if program is None:
        raise ServiceUnavailableError(
            f"The program {name} is not installed, or not in PATH.",
            code="process.missing",
            remedy=f"Install {name} on this machine.",
        )
    limits = {"cpu_seconds": cpu_seconds, "memory_bytes": memory_bytes, "file_bytes": file_bytes}
    process = subprocess.Popen(
        [*_limiting_shell(limits), program, *(os.fspath(argument) for argument in args[1:])],
        cwd=cwd,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    conversation = _Conversation(process, name, stdin, max_output, time.monotonic() + timeout, cancelled)
    try:
        conversation.run()
    except _OutOfTime:
        raise TimedOutError(
            f"{name} did not finish within {timeout:g} s and was ended.",
            code="process.timeout",
            remedy="Try again; if it goes on, raise the time limit or make the work smaller.",
        ) from None
    finally:
        _kill_group(process)
    completed = Completed(process.returncode, bytes(conversation.stdout), bytes(conversation.stderr))
    _raise_for_limit(name, completed.returncode, cpu_seconds, file_bytes)
    if check and completed.returncode != 0:
        raise failure(name, completed)
    return completed


def minimal_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a child inherits: where programs and temporary files are, and plain English messages."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    if "TMPDIR" in os.environ:
        environment["TMPDIR"] = os.environ["TMPDIR"]
    environment.update(extra or {})
    return environment


def failure(name: str, completed: Completed) -> ProcessFailedError:
    """The error for a run that ended badly, with the last line that the program wrote."""
    stderr = completed.stderr.decode("utf-8", "replace")
    last = next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), "")
    how = f"ended with status {completed.returncode}"
    if completed.returncode < 0:
        how = f"was ended by {_signal_name(-completed.returncode)}"
    message = f"{name} {how}: {last}" if last else f"{name} {how}."
    return ProcessFailedError(message, returncode=completed.returncode, stderr=stderr)


def _limiting_shell(limits: Mapping[str, int | None]) -> list[str]:
    commands = ["ulimit -c 0"]
    for limit, value in limits.items():
        if value is not None:
            command, unit = _LIMIT_COMMANDS[limit]
            commands.append(command.format(max(1, value // unit)))
    return ["/bin/sh", "-c", "; ".join([*commands, 'exec "$@"']), "sh"]


def _raise_for_limit(name: str, returncode: int, cpu_seconds: int | None, file_bytes: int | None) -> None:
    # A program run by our program dies in its place; shells report that as 128 + signal.
    ended_by = -returncode if returncode < 0 else returncode - 128
    if ended_by == signal.SIGXCPU and cpu_seconds is not None:
        raise TimedOutError(
            f"{name} used more than {cpu_seconds} s of processor time and was ended.",
            code="process.cpu",
            remedy="Make the work smaller, or raise the limit.",
        )
    if ended_by == signal.SIGXFSZ and file_bytes is not None:
        raise TooLargeError(
            f"{name} tried to write a file of more than {file_bytes} bytes and was ended.",
            code="process.file-size",
            remedy="Make the work smaller, or raise the limit.",
        )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End every process of the group, then take the leader's status.

    In this order: while the leader is not waited for, its number, hence the group's, goes to nobody else.
    """
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # All of the group ended already (macOS says "not permitted" for a group of zombies).
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None and not pipe.closed:
            pipe.close()


class _OutOfTime(Exception):
    """The deadline passed."""


class _Conversation:
    """Feeds a child and listens to it until it ends or a limit is passed."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        name: str,
        stdin: bytes,
        max_output: int,
        deadline: float,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self.process = process
        self.name = name
        self.unsent = memoryview(stdin)
        self.max_output = max_output
        self.deadline = deadline
        self.cancelled = cancelled
        self.stdout = bytearray()
        self.stderr = bytearray()

    def run(self) -> None:
        process = self.process
        with selectors.DefaultSelector() as selector:
            for pipe, event in (
                (cast("IO[bytes]", process.stdin), selectors.EVENT_WRITE),
                (cast("IO[bytes]", process.stdout), selectors.EVENT_READ),
                (cast("IO[bytes]", process.stderr), selectors.EVENT_READ),
            ):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, event)
            while selector.get_map():
                for key, _ in selector.select(self._patience()):
                    pipe = cast("IO[bytes]", key.fileobj)
                    if not (self._send(pipe) if pipe is process.stdin else self._receive(pipe)):
                        selector.unregister(pipe)
                        pipe.close()
        # Nobody holds the outputs any more; what is left is the leader's exit.
        pause = 0.001
        while not _has_exited(process):
            time.sleep(min(pause, self._patience()))
            pause = min(pause * 2, 0.05)

    def _patience(self) -> float:
        """Seconds until something has to be looked at again."""
        if self.cancelled is not None and self.cancelled():
            raise CancelledError(f"{self.name} was cancelled and ended.")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise _OutOfTime
        return left if self.cancelled is None else min(left, CANCEL_INTERVAL)

    def _send(self, pipe: IO[bytes]) -> bool:
        """Write the next piece; false when all is sent or the child does not want more."""
        try:
            self.unsent = self.unsent[os.write(pipe.fileno(), self.unsent[:65536]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        return bool(self.unsent)

    def _receive(self, pipe: IO[bytes]) -> bool:
        """Read the next piece; false at the end."""
        try:
            data = os.read(pipe.fileno(), 65536)
        except BlockingIOError:
            return True
        if pipe is self.process.stderr:
            self.stderr += data[: STDERR_BYTES - len(self.stderr)]
            return bool(data)
        self.stdout += data
        if len(self.stdout) > self.max_output:
            raise TooLargeError(
                f"{self.name} wrote more than {self.max_output} bytes and was ended.",
                code="process.output-size",
                remedy="Make the work smaller, or raise the limit.",
            )
        return bool(data)


def _has_exited(process: subprocess.Popen[bytes]) -> bool:
    if hasattr(os, "waitid"):
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return process.poll() is not None  # macOS before Python 3.13 cannot look without taking the status
