"""Runs a few programs side by side, starts again what ends by itself, and ends all of them together."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: Seconds between two starts of a program that keeps ending; the last one repeats.
BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0)
#: A program that ran this long, in seconds, begins with the shortest wait again.
HEALTHY_SECONDS = 60.0
#: How long programs may take to end when asked, in seconds, before they are killed.
GRACE_SECONDS = 10.0


@dataclass
class Program:
    """One of the programs and the process it runs in just now.

    Attributes:
        name: what people read: ``web``, ``worker``, ``scheduler``.
        command: program and arguments.
        log: file that takes its output; begins anew with every ``start_all``.
    """

    name: str
    command: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    start_at: float = field(default=0.0)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def last_lines(self, count: int = 8) -> list[str]:
        """The end of what it wrote."""
        if not self.log.exists():
            return []
        return self.log.read_text(errors="replace").splitlines()[-count:]


class Supervisor:
    """Starts, watches and stops programs.

    Args:
        programs: what to run.
        environment: the environment of all of them.
        say: told what happened, as one line for people.
        ended: told the process id of every process that is over.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        environment: Mapping[str, str],
        say: Callable[[str], None],
        ended: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.programs = programs
        self.environment = dict(environment)
        self.say = say
        self.ended = ended
        # If this process is killed, nobody is left to stop the others; then Linux does it.
        setpriv = shutil.which("setpriv")
        self._prefix = [setpriv, "--pdeathsig", "TERM"] if setpriv else []

    def start_all(self) -> None:
        """Starts every program, with empty logs."""
        for program in self.programs:
            program.log.parent.mkdir(parents=True, exist_ok=True)
            program.log.write_bytes(b"")
            self._start(program)

    def look(self) -> None:
        """Notices programs that ended, and starts those again whose wait is over. Call it about once a second."""
        now = time.monotonic()
        for program in self.programs:
            if program.is_running:
                continue
            if program.process is not None:
                self._note_end(program, program.process, now)
            elif now >= program.start_at:
                self._start(program)
                self.say(f"{program.name} runs again")

    def stop_all(self) -> None:
        """Asks every program to end, and kills those that do not within the grace period."""
        running = [p for p in self.programs if p.process is not None]
        for program in running:
            _signal(program, signal.SIGTERM)
        until = time.monotonic() + GRACE_SECONDS
        for program in running:
            process = program.process
            if process is None:
                continue
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.say(f"{program.name} did not end in {GRACE_SECONDS:.0f} s and is killed")
                _signal(program, signal.SIGKILL)
                process.wait()
            self.ended(process.pid)
            program.process = None

    def _start(self, program: Program) -> None:
        with program.log.open("ab") as log:
            program.process = subprocess.Popen(
                [*self._prefix, *program.command],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal reaches us only; we end them in order
            )
        program.started_at = time.monotonic()

    def _note_end(self, program: Program, process: subprocess.Popen[bytes], now: float) -> None:
        if now - program.started_at >= HEALTHY_SECONDS:
            program.failures = 0
        wait = BACKOFF[min(program.failures, len(BACKOFF) - 1)]
        program.failures += 1
        program.start_at = now + wait
        program.process = None
        self.ended(process.pid)
        self.say(
            f"{program.name} ended ({_how(process.returncode)}); starting it again in {wait:.0f} s. See {program.log}"
        )


def _how(status: int | None) -> str:
    if status is not None and status < 0:
        return signal.Signals(-status).name
    return f"status {status}"


def _signal(program: Program, number: signal.Signals) -> None:
    if program.is_running and program.process is not None:
        try:
            os.killpg(program.process.pid, number)
        except ProcessLookupError:
            return  # it was faster
